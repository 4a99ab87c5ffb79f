"""One model that a worker has loaded: its engine, the node that decides, and the threads that run it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ringserve.core.admission import Admission
from ringserve.core.node import Node, NodeSettings
from ringserve.core.run_place import RunPlace
from ringserve.core.signatures import Signatures
from ringserve.net.timer import Timer
from ringserve.observe.catalogue.worker import ModelNode
from ringserve.wire.infer_json import InferCodec
from ringserve.wire.oip_pages import ModelStatistics
from ringserve.worker.runs import Runs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ringserve.core.batcher import Batch
    from ringserve.core.call import Call
    from ringserve.core.signature import Result
    from ringserve.engine.session import Engine
    from ringserve.errors import ServeError
    from ringserve.settings import Settings

TICK_S = 1.0


class Served:
    """A loaded model.

    Attributes:
        number: The worker's name for it; no other model of this process ever has it.
        spec: The model.
        node: Decides about its requests.
        signatures: Those seen.
        codec: Reads and writes `/infer` for it.
    """

    def __init__(
        self, number: int, engine: Engine, settings: Settings, worker: str, queue: Callable[[Served], None]
    ) -> None:
        """Take calls from now on.

        Args:
            number: For this model alone.
            engine: Loaded and warm.
            settings: Those that hold for this model.
            worker: The worker's name.
            queue: Is called when there may be something to run: `flush` is to be called soon.
        """
        spec = engine.spec
        self.number = number
        self.spec = spec
        self.signatures = Signatures(spec)
        self.codec = InferCodec(spec)
        self._queue = queue
        self._queued = False
        self._window = settings.batch_policy == "window"
        self._hang_s, self._run_timeout_s = settings.hang_timeout_s, settings.run_timeout_s
        # A model that took no probe has no warm-up figures, and nobody knows how long it runs.
        measured = engine.full_batch_s > 0
        self._place = RunPlace(engine.full_batch_s, allowed=measured and engine.slots == 1)
        self._runs = Runs(engine, self._place, engine.slots, self._finished)
        self.node = Node(_shape(engine, settings, worker), _door(engine, settings), self._runs.start)
        self.node.slowest_run_s = engine.slowest_run_s
        self._timer = Timer(self.node.tick, lambda _now: self.node.next_wake(), TICK_S)
        self._timer.start()

    def submit(self, call: Call, now: float) -> None:
        """Take a call; what arrives in one turn of the loop runs together."""
        self.node.submit(call, now)
        timer = self._timer
        if call.deadline < timer.at:
            timer.wake_by(call.deadline)
        if not self._queued:
            self._queued = True
            self._queue(self)

    def flush(self, now: float) -> None:
        """Give the engine what there is."""
        self._queued = False
        self.node.flush(now)
        if self._window:
            wake = self.node.next_wake()
            if wake is not None and wake < self._timer.at:
                self._timer.wake_by(wake)

    def run_limit_s(self) -> float:
        """How long a run may last before it counts as hung, in seconds."""
        limit_s = max(self._hang_s, 10 * self.node.slowest_run_s)
        return min(limit_s, self._run_timeout_s) if self._run_timeout_s > 0 else limit_s

    def shown(self, now: float) -> ModelNode:
        """What metrics tell of it."""
        place = self._place
        return ModelNode(
            self.spec.name, self.spec.version, self.node.statistics(now), place.inline, place.moves
        )

    def statistics(self, now: float) -> ModelStatistics:
        """What its node counts, as `/v2` tells it."""
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
            verified=counted.verification.compared,
            differing=counted.verification.differing,
            difference=min(counted.verification.largest, sys.float_info.max),  # JSON has no infinity
        )

    def end(self) -> None:
        """Take no more calls; nothing may be pending. `release` then gives its memory back."""
        self._timer.stop()
        self.node.cache.clear()

    def release(self, wait_s: float) -> bool:
        """End its threads and let go of the engine. Blocks; call it outside the event loop, after `end`.

        Returns:
            Whether all threads ended: a run that hangs keeps the engine.
        """
        return self._runs.close(wait_s)

    def _finished(self, batch: Batch, outcome: Sequence[Result] | ServeError, now: float) -> None:
        self.node.finished(batch, outcome, now)
        if not self._queued:
            self._queued = True
            self._queue(self)


def _shape(engine: Engine, settings: Settings, worker: str) -> NodeSettings:
    spec = engine.spec
    return NodeSettings(
        name=worker,
        cacheable=spec.cacheable,
        cache_capacity=settings.cache_capacity,
        cache_bytes_max=settings.cache_bytes,
        verify_hits=settings.verify_hits,
        max_batch=engine.rows_max,
        batch_timeout_s=settings.batch_timeout_ms / 1000,
        window=settings.batch_policy == "window",
        slots=engine.slots,
    )


def _door(engine: Engine, settings: Settings) -> Admission:
    wait = settings.max_wait_ms
    admission = Admission(settings.max_queue, None if wait == "auto" else float(wait) / 1000)
    admission.full_batch_s = engine.full_batch_s
    if engine.full_batch_s > 0:
        admission.observe_run(engine.rows_max, engine.full_batch_s / engine.slots)
    return admission
