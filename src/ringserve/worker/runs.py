"""Threads that run the model, and the choice between them and the event loop."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from queue import SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING

from ringserve.errors import ModelFailed, ServeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ringserve.core.batcher import Batch
    from ringserve.core.run_place import RunPlace
    from ringserve.core.signature import Result
    from ringserve.engine.session import Engine

    Outcome = Sequence[Result] | ServeError
    Finished = Callable[[Batch, Outcome, float], None]

log = logging.getLogger(__name__)


class Runs:
    """Runs batches; `finished` is called in the event loop for each, with its outcome."""

    def __init__(self, engine: Engine, place: RunPlace, slots: int, finished: Finished) -> None:
        """Start the threads, as daemons: a run that hangs must not keep the process from ending."""
        self._engine = engine
        self._place = place
        self._finished = finished
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[Batch | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"run-{number}", daemon=True) for number in range(slots)
        ]
        for thread in self._threads:
            thread.start()

    def start(self, batch: Batch) -> None:
        """Run a batch here or in a thread."""
        if not self._place.inline:
            self._queue.put(batch)
            return
        outcome, cpu_s = self._run(batch)
        self._place.observe(cpu_s)
        self._finished(batch, outcome, monotonic())

    def close(self, wait_s: float) -> bool:
        """End the threads and let go of the engine; nothing may be started any more. Blocks.

        Returns:
            Whether all of them ended in time; else the engine is kept.
        """
        for _ in self._threads:
            self._queue.put(None)
        end = monotonic() + wait_s
        for thread in self._threads:
            thread.join(max(0.0, end - monotonic()))
        ended = not any(thread.is_alive() for thread in self._threads)
        if ended:
            del self._engine  # others may hold this object for a while, and with it a model's memory
        return ended

    def _work(self) -> None:
        while (batch := self._queue.get()) is not None:
            outcome, cpu_s = self._run(batch)
            try:
                self._loop.call_soon_threadsafe(self._landed, batch, outcome, cpu_s)
            except RuntimeError:
                return  # the loop is closed: the process ends, and nobody waits for this run

    def _landed(self, batch: Batch, outcome: Outcome, cpu_s: float) -> None:
        self._place.observe(cpu_s)
        self._finished(batch, outcome, monotonic())

    def _run(self, batch: Batch) -> tuple[Outcome, float]:
        began = time.thread_time()
        try:
            payloads = [flight.payload for flight in batch.flights]
            outcome: Outcome = self._engine.run(batch.signature, payloads, batch.signatures())
        except ServeError as error:
            outcome = error
        except Exception as error:
            log.exception("a run failed in an unforeseen way")
            outcome = ModelFailed(f"the run failed: {type(error).__name__}")
        return outcome, time.thread_time() - began
