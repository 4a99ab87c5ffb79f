"""What a listener needs from whoever answers its requests: a worker's shell, or a gateway's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping, Sequence

    from ringserve.core.call import Call
    from ringserve.core.router.worker_state import Offer, Unready
    from ringserve.core.tensor import ModelSpec
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

    def offers(self) -> Sequence[Offer]:
        """The models that are ready now, each name's default among them marked; the numbers mean nothing."""

    def unready(self) -> Sequence[Unready]:
        """The models that are known and not served now."""

    async def gather_statistics(self, specs: Sequence[ModelSpec]) -> list[ModelStatistics]:
        """What is counted of each of these models, wherever it runs."""

    async def control(self, action: str, name: str) -> None:
        """Load or unload a model; returns when that is done.

        Args:
            action: `load` or `unload`.
            name: Of the model.

        Raises:
            ServeError: It cannot be done, or not here.
        """

    def metrics(self, now: float) -> Snapshots:
        """What `GET /metrics` shows."""

    def codec(self, model: str = "", version: str = "") -> InferCodec:
        """The codec of a model.

        Args:
            model: Its name; empty for the only one, or the one that is named as the default.
            version: Of it; empty for the one that is taken where none is asked for.

        Raises:
            NotFound: It is not served; the sentence names what is.
            BadRequest: None is named, and there are several.
            NotReady: It is still loading.
            NoWorker: There is nobody who could serve it.
        """

    def submit(self, call: Call, now: float) -> None:
        """Accept a call; it is answered or failed later, or before this returns."""

    def cancel(self, call: Call) -> None:
        """The caller left."""

    def link_protocol(self) -> asyncio.Protocol | None:
        """The protocol of a new link from a gateway; None where links are not taken (now)."""
