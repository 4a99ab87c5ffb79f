"""A worker put together: listener, links, node, engine. It only moves bytes between them."""

from __future__ import annotations

import asyncio
import logging
import os
from time import monotonic
from typing import TYPE_CHECKING, cast

from ringserve.core.admission import Admission
from ringserve.core.batcher import CutReason
from ringserve.core.node import Node, NodeSettings
from ringserve.core.router.worker_state import Hello, Offer
from ringserve.core.run_place import RunPlace
from ringserve.errors import Draining, MethodNotAllowed, ModelGone, NotReady, ServeError
from ringserve.limits import LINKS_MAX, UNPROVED_LINKS_MAX
from ringserve.net.link_server import LinkServer
from ringserve.net.listener import Listener
from ringserve.net.pages import describe_model
from ringserve.net.timer import Timer
from ringserve.observe.catalogue.metric import Snapshot
from ringserve.observe.catalogue.server import SERVER
from ringserve.observe.catalogue.worker import WORKER, WorkerStatistics
from ringserve.wire import records
from ringserve.wire.asked_model import check_model
from ringserve.wire.hello import encode_worker_hello
from ringserve.wire.infer_json import InferCodec
from ringserve.wire.oip_pages import ModelStatistics
from ringserve.worker.runs import Runs
from ringserve.worker.served import Served

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ringserve.core.batcher import Batch
    from ringserve.core.call import Call
    from ringserve.core.router.worker_state import Unready
    from ringserve.core.signature import Result
    from ringserve.core.tensor import ModelSpec
    from ringserve.engine.session import Engine
    from ringserve.net.backend import Page
    from ringserve.observe.catalogue.roles import Snapshots
    from ringserve.settings import Settings

log = logging.getLogger(__name__)
TICK_S = 1.0
NAMES_MAX = 16


class WorkerShell:
    """The worker's process, apart from its life cycle."""

    def __init__(self, settings: Settings, name: str) -> None:
        """Listen-able at once; a model comes with `serve`."""
        self.settings = settings
        self.name = name
        self.incarnation = os.urandom(8).hex()
        self.request_timeout_s = settings.request_timeout_ms / 1000
        self.pages: dict[str, Page] = {"/health": self._health, "/model": self._model}
        self.listener = Listener(settings, self)
        self.links: set[LinkServer] = set()
        self.unproved: set[LinkServer] = set()
        self.node = cast("Node", None)
        self._served = cast("Served", None)
        self._engine: Engine | None = None
        self._codec: InferCodec | None = None
        self._runs: Runs | None = None
        self._place: RunPlace | None = None
        self._timer: Timer | None = None
        self._loop = asyncio.get_running_loop()
        self._flush_due = False
        self._draining = False
        self._names_called: set[str] = set()

    def serve(self, engine: Engine) -> None:
        """Take calls for this model from now on."""
        settings, spec = self.settings, engine.spec
        wait = settings.max_wait_ms
        admission = Admission(settings.max_queue, None if wait == "auto" else float(wait) / 1000)
        admission.full_batch_s = engine.full_batch_s
        if engine.full_batch_s > 0:
            admission.observe_run(spec.max_batch, engine.full_batch_s / engine.slots)
        shape = NodeSettings(
            name=self.name,
            cacheable=spec.cacheable,
            cache_capacity=settings.cache_capacity,
            cache_bytes_max=settings.cache_bytes,
            verify_hits=settings.verify_hits,
            max_batch=spec.max_batch,
            batch_timeout_s=settings.batch_timeout_ms / 1000,
            window=settings.batch_policy == "window",
            slots=engine.slots,
        )
        self._engine = engine
        # A model that took no probe has no warm-up figures, and nobody knows how long it runs.
        measured = engine.full_batch_s > 0
        place = RunPlace(engine.full_batch_s, allowed=measured and engine.slots == 1)
        self._place = place
        self._runs = Runs(engine, place, engine.slots, self._finished)
        self.node = Node(shape, admission, self._runs.start)
        self.node.slowest_run_s = engine.slowest_run_s
        self._served = Served(1, spec, self.node, self.took)
        self._codec = InferCodec(spec)
        self._timer = Timer(self.node.tick, lambda _now: self.node.next_wake(), TICK_S)
        self._timer.start()

    # Backend

    def metrics(self, now: float) -> Snapshots:
        """What `GET /metrics` shows; of the node nothing before there is a model."""
        server = Snapshot(SERVER, self.listener.statistics("worker", self.state(), self.healthy()))
        place = self._place
        if place is None:
            return [server]
        links = len(self.links)
        own = WorkerStatistics(self.node.statistics(now), links, LINKS_MAX, place.inline, place.moves)
        return [server, Snapshot(WORKER, own)]

    def offers(self) -> Sequence[Offer]:
        """The models that are ready."""
        return () if self._engine is None else (Offer(self._served.number, self._engine.spec, default=True),)

    def unready(self) -> Sequence[Unready]:
        """The models that are known and not served now."""
        return ()

    async def control(self, action: str, name: str) -> None:  # noqa: ARG002 - the same for all
        """Not taken yet."""
        raise MethodNotAllowed("the models of a running server do not change; start it anew")

    def model_statistics(self, spec: ModelSpec, now: float) -> ModelStatistics:  # noqa: ARG002 - there is one
        """What the node counts."""
        counted = self.node.statistics(now)
        return ModelStatistics(
            answered=counted.answered,
            total_s=counted.total.sum,
            failed=counted.failed,
            hits=counted.cache.hits,
            misses=counted.cache.misses,
            rows=int(counted.batch_items.sum),
            runs=counted.runs,
            queue_s=counted.queue.sum,
            run_s=counted.run.sum,
        )

    def codec(self, model: str = "", version: str = "") -> InferCodec:
        """The model's codec, once it is loaded."""
        if self._codec is None:
            raise NotReady("the model is still loading", 1.0)
        check_model(self._codec.spec, model or self._codec.spec.name, version)
        return self._codec

    def submit(self, call: Call, now: float) -> None:
        """Take a call from a connection; what arrives in one turn of the loop runs together."""
        self._served.submit(call, now)

    def took(self, call: Call) -> None:
        """A node has taken a call."""
        timer = self._timer
        if timer is not None and call.deadline < timer.at:
            timer.wake_by(call.deadline)
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush_soon)

    def cancel(self, call: Call) -> None:
        """The caller left."""
        self.node.cancel(call)

    def link_protocol(self) -> LinkServer | None:
        """A link for a gateway, once there is a model to serve and until the drain."""
        many = len(self.links) >= LINKS_MAX or len(self.unproved) >= UNPROVED_LINKS_MAX
        return LinkServer(self) if self.takes_links and not many else None

    # Link host

    def served(self, number: int) -> Served:
        """The model of this number."""
        if number != self._served.number:
            raise ModelGone(f"worker {self.name} has no model of number {number} any more")
        return self._served

    @property
    def depth(self) -> int:
        """Rows that wait."""
        return self.node.depth

    def take_control(self, action: str, name: str, done: Callable[[str | ServeError], None]) -> None:  # noqa: ARG002 - the same for all
        """Not taken yet."""
        done(MethodNotAllowed("the models of a running server do not change; start it anew"))

    @property
    def takes_links(self) -> bool:
        """Whether gateways may be linked now."""
        return self._engine is not None and not self._draining

    def flush(self, now: float) -> None:
        """Give the engine what there is."""
        self._flush_due = False
        self.node.flush(now)
        if self.settings.batch_policy == "window" and self._timer is not None:
            wake = self.node.next_wake()
            if wake is not None and wake < self._timer.at:
                self._timer.wake_by(wake)

    @property
    def credit_items(self) -> int:
        """Items that one gateway may have here at a time."""
        settings = self.settings
        return settings.credit_items or 2 * (settings.max_queue + settings.max_batch)

    def hello(self) -> bytes:
        """What a gateway is greeted with."""
        assert self._engine is not None
        settings = self.settings
        return encode_worker_hello(
            Hello(
                node_id=self.name,
                incarnation=self.incarnation,
                offers=tuple(self.offers()),
                credit_items=self.credit_items,
                credit_bytes=settings.credit_bytes,
                run_timeout_s=settings.run_timeout_s,
                slowest_run_s=self.node.slowest_run_s,
            )
        )

    def pong(self, now: float) -> bytes:
        """A sign of life."""
        node = self.node
        return records.PONG.pack(node.oldest_run_s(now), node.slowest_run_s, node.runs_finished, node.depth)

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
        return "starting" if self._engine is None else "ready"

    def healthy(self) -> bool:
        """Whether no run is past the hang limit."""
        if self._engine is None:
            return True
        settings = self.settings
        limit_s = max(settings.hang_timeout_s, 10 * self.node.slowest_run_s)
        if settings.run_timeout_s > 0:
            limit_s = min(limit_s, settings.run_timeout_s)
        return self.node.oldest_run_s(monotonic()) <= limit_s

    def incarnations(self) -> tuple[str, ...]:
        """This process's own."""
        return (self.incarnation,)

    def pending(self) -> int:
        """Calls without an answer."""
        return 0 if self._engine is None else self.node.pending

    def stop_being_ready(self) -> None:
        """Step 1 of a drain."""
        self._draining = True

    def go_away(self) -> None:
        """Step 2 of a drain, for the links."""
        for link in self.links:
            link.go_away()

    def is_running(self) -> bool:
        """Whether the engine still computes, for nobody once the drain is over."""
        return self._engine is not None and self.node.is_running

    def gone(self) -> bool:
        """Whether every gateway has let go."""
        return not self.links

    def give_up(self) -> None:
        """The drain took too long."""
        self.node.fail_all(Draining("the worker stops and could not finish this request", 1.0))

    def _flush_soon(self) -> None:
        if self._flush_due:
            self.flush(monotonic())

    def _finished(self, batch: Batch, outcome: Sequence[Result] | ServeError, now: float) -> None:
        self.node.finished(batch, outcome, now)
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush_soon)

    # Pages

    def _health(self) -> tuple[int, dict[str, object]]:
        healthy = self.state() == "ready" and self.healthy()
        node = self.node if self._engine is not None else _NOTHING_YET
        total = sum(node.cuts.values())
        page: dict[str, object] = {
            "healthy": healthy,
            "node_id": self.name,
            "state": self.state(),
            "total_requests": node.accepted,
            "cache_hits": node.cache.hits,
            "cache_size": len(node.cache),
            "cache_hit_rate": node.cache.hits / node.accepted if node.accepted else 0.0,
            "batch_processor": {
                "total_batches": total,
                "avg_batch_size": node.items_cut / total if total else 0.0,
                "timeout_batches": node.cuts[CutReason.DUE],
                "full_batches": node.cuts[CutReason.FULL],
                "idle_batches": node.cuts[CutReason.IDLE],
            },
            "joins": node.joins,
            "pending": node.pending,
            "queue_depth": node.depth,
        }
        return (200 if healthy else 503), page

    def _model(self) -> tuple[int, dict[str, object]]:
        return describe_model(None if self._engine is None else self._engine.spec)


_NOTHING_YET = Node(NodeSettings(name=""), Admission(1, None), lambda _batch: None)
"""What `/health` counts while the model loads."""
