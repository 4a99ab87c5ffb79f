"""What a worker may run, and what it may answer from memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringserve.core.batcher import Batch
from ringserve.core.node import Node
from ringserve.core.signature import Result
from ringserve.core.single_flight import Flight
from ringserve.core.slices import Slice
from ringserve.errors import ServeError
from tests.simulation.watch import Watcher, demand

if TYPE_CHECKING:
    from tests.simulation.process import WorkerProcess
    from tests.simulation.workload import Caller


class BatchRules(Watcher):
    """A batch is of one item shape and of bounded size, and somebody waits for each part of it."""

    def run_started(self, worker: WorkerProcess, batch: Batch) -> None:
        node = worker.node_of(batch)
        demand(bool(batch.flights), "an empty run")
        rows = sum(flight.rows for flight in batch.flights)
        limit = node.settings.max_batch
        demand(rows <= limit, f"{rows} rows in a run of at most {limit}")
        demand(batch.rows == rows, "a batch's rows are miscounted")
        groups = {flight.signature.group for flight in batch.flights}
        demand(groups == {batch.signature.group}, "a run of different item shapes")
        shapes = batch.signatures() or [batch.signature] * len(batch.flights)
        right = [flight.signature.inputs[0].shape for flight in batch.flights]
        demand([one.inputs[0].shape for one in shapes] == right, "a batch tells wrong rows of its flights")
        for flight in batch.flights:
            demand(bool(flight.calls), "a run for nobody")
            late = all(call.deadline <= worker.now for call in flight.calls)
            demand(not late, "a run that is too late for all who wait for it")
        demand(len(worker.running_on(node)) <= node.settings.slots, "more runs than slots")


def part_of(flight: Flight) -> tuple[bytes, int]:
    """What is computed: a key, or one of its slices."""
    return flight.key, flight.number if isinstance(flight, Slice) else 0


def wanted(flight: Flight) -> bool:
    """Whether its result is of use: slices whose whole has been given up go on for nobody."""
    return flight.whole is None or bool(flight.calls)


class OneRunAKey(Watcher):
    """What is being computed, or is known, is not computed again."""

    def run_started(self, worker: WorkerProcess, batch: Batch) -> None:
        if not self.world.plan.fleet.cacheable:
            return
        node = worker.node_of(batch)
        others = [one for one in worker.running_on(node) if one is not batch]
        running = [part_of(flight) for one in others for flight in one.flights if wanted(flight)]
        parts = [part_of(flight) for flight in batch.flights]
        demand(len(set(parts)) == len(parts), "one key twice in a run")
        demand(not set(parts) & set(running), "a key runs twice at a time")
        keys = [flight.key for flight in batch.flights]
        demand(not any(key in node.cache._entries for key in keys), "a run for what is in the cache")


class CacheIsExact(Watcher):
    """An answer from the cache was computed there for this very key, and only where caching is on."""

    def ended(self, caller: Caller, outcome: Result | ServeError, node_id: str, cached: bool) -> None:
        if cached:
            fleet = self.world.plan.fleet
            demand(fleet.cacheable and fleet.worker.cache_capacity > 0, "an answer from a cache that is off")
            demand(caller.key in self.world.computed[node_id], "an answer from the cache, never computed")

    def after_worker(self, worker: WorkerProcess) -> None:
        for node in worker.nodes:
            cache = node.cache
            demand(len(cache) <= cache.capacity, "the cache holds more entries than it may")
            demand(cache.bytes <= cache.bytes_max, "the cache holds more bytes than it may")

    def run_ended(self, worker: WorkerProcess, node: Node, batch: Batch, failed: bool) -> None:
        if failed:
            for flight in batch.flights:
                demand(flight.key not in node.cache._entries, "an error is in the cache")
