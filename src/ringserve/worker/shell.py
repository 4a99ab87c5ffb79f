"""A worker put together: listener, links, and the models on its shelf. It only moves bytes between them.

(Over 300 lines because all that listeners, links and pages ask of a worker must stand together.)
"""

from __future__ import annotations

import logging
import os
from time import monotonic
from typing import TYPE_CHECKING

from ringserve.core.batcher import CutReason
from ringserve.core.router.worker_state import Hello
from ringserve.errors import BadRequest, Draining, MethodNotAllowed, NotFound, NotReady, ServeError
from ringserve.limits import LINKS_MAX, MODELS_MAX, UNPROVED_LINKS_MAX
from ringserve.net.link_server import LinkServer
from ringserve.net.listener import Listener
from ringserve.net.pages import describe_model
from ringserve.observe.catalogue.metric import Snapshot
from ringserve.observe.catalogue.server import SERVER
from ringserve.observe.catalogue.worker import WORKER, WorkerStatistics
from ringserve.wire import records
from ringserve.wire.hello import encode_models, encode_worker_hello
from ringserve.worker.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ringserve.core.call import Call
    from ringserve.core.router.worker_state import Offer, Unready
    from ringserve.core.tensor import ModelSpec
    from ringserve.net.backend import Page
    from ringserve.observe.catalogue.roles import Snapshots
    from ringserve.settings import Settings
    from ringserve.wire.infer_json import InferCodec
    from ringserve.wire.oip_pages import ModelStatistics
    from ringserve.worker.keeper import Keeper
    from ringserve.worker.served import Served

log = logging.getLogger(__name__)
NAMES_MAX = 16


class WorkerShell:
    """The worker's process, apart from its life cycle.

    Attributes:
        shelf: The models that it serves.
        keeper: Loads and unloads them; None where nobody does.
        is_open: Whether it serves what there is, be it nothing.
    """

    def __init__(self, settings: Settings, name: str) -> None:
        """Listen-able at once; models come on the shelf, and then `open`."""
        self.settings = settings
        self.name = name
        self.incarnation = os.urandom(8).hex()
        self.request_timeout_s = settings.request_timeout_ms / 1000
        self.pages: dict[str, Page] = {"/health": self._health, "/model": self._model}
        self.listener = Listener(settings, self)
        self.links: set[LinkServer] = set()
        self.unproved: set[LinkServer] = set()
        self.shelf = Shelf(name, settings.default_model)
        self.keeper: Keeper | None = None
        self.is_open = False
        self._models_told = b""
        self._draining = False
        self._names_called: set[str] = set()

    def open(self) -> None:
        """Be ready from now on, and take links."""
        self.is_open = True

    def models_changed(self) -> None:
        """Tell the gateways what is served now, where that is news."""
        models = encode_models(self.offers(), self.unready())
        if models != self._models_told:
            self._models_told = models
            for link in self.links:
                link.tell_models(models)

    # Backend

    def metrics(self, now: float) -> Snapshots:
        """What `GET /metrics` shows; of the models nothing before they are loaded."""
        server = Snapshot(SERVER, self.listener.statistics("worker", self.state(), self.healthy()))
        if not self.is_open:
            return [server]
        shelf = self.shelf
        models = [shelf.numbered(offer.number).shown(now) for offer in shelf.offers()]
        own = WorkerStatistics(models, len(shelf), MODELS_MAX, len(self.links), LINKS_MAX)
        return [server, Snapshot(WORKER, own)]

    def offers(self) -> Sequence[Offer]:
        """The models that are ready."""
        return self.shelf.offers()

    def unready(self) -> Sequence[Unready]:
        """The models that are known and not served now."""
        return self.keeper.unready() if self.keeper is not None else ()

    async def control(self, action: str, name: str) -> None:
        """Load or unload a model; returns when that is done.

        Raises:
            ServeError: It cannot be done, or not here.
        """
        if self.keeper is None:
            raise MethodNotAllowed("the models of this server do not change")
        await self.keeper.control(action, name)

    def model_statistics(self, spec: ModelSpec, now: float) -> ModelStatistics:
        """What the model's node counts."""
        return self.shelf.find(spec.name, spec.version).statistics(now)

    async def gather_statistics(self, specs: Sequence[ModelSpec]) -> list[ModelStatistics]:
        """What the models' nodes count."""
        now = monotonic()
        return [self.model_statistics(spec, now) for spec in specs]

    def codec(self, model: str = "", version: str = "") -> InferCodec:
        """The codec of a model.

        Raises:
            ServeError: It is not served, not ready, or it is not clear which one is meant.
        """
        unnamed = self.shelf.unnamed
        if unnamed is None or model or version:
            return self._find(model, version).codec
        return unnamed.codec

    def _find(self, model: str, version: str) -> Served:
        try:
            return self.shelf.find(model, version)
        except NotFound as error:
            if not self.is_open:
                raise NotReady("the model is still loading", 1.0) from None
            if self.keeper is None:
                raise
            raise self.keeper.why_not(model or self.settings.default_model, version, error) from None

    def submit(self, call: Call, now: float) -> None:
        """Take a call from a connection."""
        try:
            served = self.shelf.find_for(call)
        except (NotFound, BadRequest) as error:
            call.fail(error)
        else:
            served.submit(call, now)

    def cancel(self, call: Call) -> None:
        """The caller left."""
        self.shelf.cancel(call)

    def link_protocol(self) -> LinkServer | None:
        """A link for a gateway, from the time when models are ready until the drain."""
        many = len(self.links) >= LINKS_MAX or len(self.unproved) >= UNPROVED_LINKS_MAX
        return LinkServer(self) if self.takes_links and not many else None

    # Link host

    def served(self, number: int) -> Served:
        """The model of this number.

        Raises:
            ModelGone: It is not loaded any more.
        """
        return self.shelf.numbered(number)

    @property
    def depth(self) -> int:
        """Rows that wait."""
        return self.shelf.depth

    def take_control(self, action: str, name: str, done: Callable[[str | ServeError], None]) -> None:
        """Do what a gateway asks; `done` is called once with the end."""
        if self.keeper is None:
            done(MethodNotAllowed("the models of this server do not change"))
        else:
            self.keeper.take_control(action, name, done)

    @property
    def takes_links(self) -> bool:
        """Whether gateways may be linked now."""
        return self.is_open and not self._draining

    def flush(self, now: float) -> None:
        """Give the engines what there is."""
        self.shelf.flush(now)

    @property
    def credit_items(self) -> int:
        """Items that one gateway may have here at a time."""
        settings = self.settings
        return settings.credit_items or 2 * (settings.max_queue + settings.max_batch)

    def hello(self) -> bytes:
        """What a gateway is greeted with."""
        settings = self.settings
        return encode_worker_hello(
            Hello(
                node_id=self.name,
                incarnation=self.incarnation,
                offers=tuple(self.offers()),
                credit_items=self.credit_items,
                credit_bytes=settings.credit_bytes,
                run_timeout_s=settings.run_timeout_s,
                slowest_run_s=self.shelf.slowest_run_s,
                unready=tuple(self.unready()),
            )
        )

    def pong(self, now: float) -> bytes:
        """A sign of life."""
        shelf = self.shelf
        return records.PONG.pack(*shelf.worst_run(now), shelf.runs_finished, shelf.depth)

    def called(self, name: str) -> None:
        """A gateway told what it calls this worker."""
        if self._names_called and name not in self._names_called:
            others = ", ".join(sorted(self._names_called))
            log.warning("gateways call this worker differently (%s and %s): their rings differ", others, name)
        if len(self._names_called) < NAMES_MAX:  # a stranger may make names up
            self._names_called.add(name)

    # Life

    def state(self) -> str:
        """`starting`, `ready` or `draining`."""
        if self._draining:
            return "draining"
        return "ready" if self.is_open else "starting"

    def healthy(self) -> bool:
        """Whether no run is past the hang limit."""
        return self.shelf.healthy(monotonic())

    def incarnations(self) -> tuple[str, ...]:
        """This process's own."""
        return (self.incarnation,)

    def pending(self) -> int:
        """Calls without an answer."""
        return self.shelf.pending

    def stop_being_ready(self) -> None:
        """Step 1 of a drain."""
        self._draining = True

    def go_away(self) -> None:
        """Step 2 of a drain, for the links."""
        for link in self.links:
            link.go_away()

    def is_running(self) -> bool:
        """Whether an engine still computes, for nobody once the drain is over."""
        return self.shelf.is_running()

    def gone(self) -> bool:
        """Whether every gateway has let go."""
        return not self.links

    def give_up(self) -> None:
        """The drain took too long."""
        self.shelf.fail_all(Draining("the worker stops and could not finish this request", 1.0))

    # Pages

    def _health(self) -> tuple[int, dict[str, object]]:
        shelf = self.shelf
        healthy = self.state() == "ready" and self.healthy()
        counted = shelf.counts()
        total = sum(counted[reason.value] for reason in CutReason)
        page: dict[str, object] = {
            "healthy": healthy,
            "node_id": self.name,
            "state": self.state(),
            "total_requests": counted["accepted"],
            "cache_hits": counted["hits"],
            "cache_size": sum(len(served.node.cache) for served in shelf),
            "cache_hit_rate": counted["hits"] / counted["accepted"] if counted["accepted"] else 0.0,
            "batch_processor": {
                "total_batches": total,
                "avg_batch_size": counted["items"] / total if total else 0.0,
                "timeout_batches": counted[CutReason.DUE.value],
                "full_batches": counted[CutReason.FULL.value],
                "idle_batches": counted[CutReason.IDLE.value],
            },
            "joins": counted["joins"],
            "pending": shelf.pending,
            "queue_depth": shelf.depth,
            "models": [
                {"name": offer.spec.name, "version": offer.spec.version, "default": offer.default}
                for offer in shelf.offers()
            ],
        }
        return (200 if healthy else 503), page

    def _model(self) -> tuple[int, dict[str, object]]:
        try:
            return describe_model(self.codec().spec if self.is_open else None)
        except ServeError as error:
            return error.status, {"error": error.message}
