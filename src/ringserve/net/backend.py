"""What a listener needs from whoever answers its requests: a worker's shell, or a gateway's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping

    from ringserve.core.call import Call
    from ringserve.observe.catalogue.roles import Snapshots
    from ringserve.wire.infer_json import InferCodec
    from ringserve.wire.oip_pages import ModelStatistics

    Page = Callable[[], tuple[int, dict[str, object]]]


class Backend(Protocol):
    """Takes calls and shows pages.

    Attributes:
        request_timeout_s: The deadline of a request that brings none.
    """

    request_timeout_s: float

    @property
    def pages(self) -> Mapping[str, Page]:
        """What `GET` of each path answers."""

    def state(self) -> str:
        """`starting`, `ready` or `draining`."""

    def healthy(self) -> bool:
        """Whether nothing hangs."""

    def model_statistics(self, now: float) -> ModelStatistics:
        """What is counted of the model now served; call it only when `codec` has one."""

    def metrics(self, now: float) -> Snapshots:
        """What `GET /metrics` shows."""

    def codec(self) -> InferCodec:
        """The codec of the model now served.

        Raises:
            ServeError: No model is served yet.
        """

    def submit(self, call: Call, now: float) -> None:
        """Accept a call; it is answered or failed later, or before this returns."""

    def cancel(self, call: Call) -> None:
        """The caller left."""

    def link_protocol(self) -> asyncio.Protocol | None:
        """The protocol of a new link from a gateway; None where links are not taken (now)."""
