"""What a link needs of its worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ringserve.core.call import Call
    from ringserve.core.node import Node
    from ringserve.core.router.worker_state import Offer
    from ringserve.core.signatures import Signatures
    from ringserve.core.tensor import ModelSpec
    from ringserve.errors import ServeError
    from ringserve.net.link_server import LinkServer
    from ringserve.wire.oip_pages import ModelStatistics


class Served(Protocol):
    """One model that a worker has ready."""

    node: Node
    signatures: Signatures

    def submit(self, call: Call, now: float) -> None:
        """Accept a call."""


class Host(Protocol):
    """What a link needs of its worker."""

    links: set[LinkServer]
    unproved: set[LinkServer]

    @property
    def takes_links(self) -> bool:
        """Whether gateways may be linked now."""

    @property
    def credit_items(self) -> int:
        """Items that one gateway may have here at a time."""

    @property
    def depth(self) -> int:
        """Rows that wait, for all models."""

    def served(self, number: int) -> Served:
        """The model of this number.

        Raises:
            ModelGone: It is not served any more.
        """

    def hello(self) -> bytes:
        """What a gateway is greeted with."""

    def pong(self, now: float) -> bytes:
        """A sign of life."""

    def called(self, name: str) -> None:
        """A gateway told what it calls this worker."""

    def offers(self) -> Sequence[Offer]:
        """The models that are ready."""

    def model_statistics(self, spec: ModelSpec, now: float) -> ModelStatistics:
        """What is counted of one of them."""

    def take_control(self, action: str, name: str, done: Callable[[str | ServeError], None]) -> None:
        """Do what a gateway asks beside requests, see `wire.control`; `done` is called once."""

    def flush(self, now: float) -> None:
        """Run what was accepted."""
