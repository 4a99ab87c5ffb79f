"""What the router asks of the outside world; a gateway's shell or a simulator provides it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ringserve.core.call import Call


class Ports(Protocol):
    """Effects. None of them blocks or raises, and none calls back into the router before it returns."""

    def send(self, worker: int, call: Call) -> None:
        """Put the call on the link to this worker, under `call.id`."""

    def cancel_on(self, worker: int, call_id: int) -> None:
        """Tell the worker that nobody waits for this call any more."""

    def ping(self, worker: int) -> None:
        """Ask the worker for a sign of life."""

    def disconnect(self, worker: int) -> None:
        """Drop this link, which the router gave up, and connect again; `link_lost` is not to be called."""

    def goodbye(self, worker: int) -> None:
        """Tell a worker that goes away that nothing of ours is left there."""

    def say(self, sentence: str) -> None:
        """Tell the operator."""
