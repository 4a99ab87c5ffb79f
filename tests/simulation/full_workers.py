"""Which workers a gateway may take for full without asking them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringserve.errors import QueueFull, ServeError, WaitTooLong

if TYPE_CHECKING:
    from ringserve.core.call import Call
    from tests.simulation.process import GatewayProcess

FULL_FOR_S = 0.02
"""How long other requests may be kept from a worker that refused, and from one that was asked since."""

ASKED_MAX = 6
"""How often it may be held against them anew without another refusal."""


class FullWorkers:
    """The workers that refused for want of room, as each gateway heard it."""

    def __init__(self) -> None:
        self._asked: dict[tuple[GatewayProcess, int], tuple[float, float, int]] = {}

    def refused(self, gateway: GatewayProcess, index: int, call: Call | None, error: ServeError) -> None:
        """A worker refused; of a call that nobody waits for the gateway does not know what it was."""
        if call is not None and isinstance(error, QueueFull | WaitTooLong):
            self._asked[gateway, index] = gateway.now, gateway.now, 0

    def sent(self, gateway: GatewayProcess, index: int) -> None:
        """It was sent a request, which finds out."""
        asked_at, counted_at, asked = self._asked.get((gateway, index), (-1.0, -1.0, ASKED_MAX))
        if gateway.now - asked_at > 2 * FULL_FOR_S:
            return
        # What was sent to it may have been a key that it has: then the next one asked, up to a window later.
        if gateway.now - counted_at < FULL_FOR_S:
            self._asked[gateway, index] = gateway.now, counted_at, asked
        elif asked < ASKED_MAX:
            self._asked[gateway, index] = gateway.now, gateway.now, asked + 1

    def may_be_full(self, gateway: GatewayProcess, index: int) -> bool:
        """Whether requests may be kept from it."""
        asked_at, counted_at, asked = self._asked.get((gateway, index), (-1.0, -1.0, 0))
        sent_since = asked > 0 or asked_at > counted_at
        return gateway.now - asked_at <= (2 * FULL_FOR_S if sent_since else FULL_FOR_S)
