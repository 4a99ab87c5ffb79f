"""A node at one moment, for those who watch it, and the histograms that it fills."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringserve.core.histogram import LATENCY_BOUNDS_S, SIZE_BOUNDS, Histogram

if TYPE_CHECKING:
    from ringserve.core.admission import AdmissionStatistics
    from ringserve.core.batcher import Batch
    from ringserve.core.cache import CacheStatistics
    from ringserve.core.histogram import HistogramStatistics
    from ringserve.core.node import Node
    from ringserve.core.single_flight import SingleFlightStatistics
    from ringserve.core.verification import VerificationStatistics


@dataclass(frozen=True, slots=True)
class NodeStatistics:
    """The node: `accepted == answered + failed + cancelled + pending`.

    Attributes:
        accepted: Calls taken on, joiners and those shed at the door included.
        answered: Calls that got a result.
        failed: Calls that got an error.
        failures: Of them, how many by error.
        cancelled: Calls whose caller left first.
        pending: Calls that wait on a flight, as counted there.
        queue_depth: Rows that wait for a run.
        queue_oldest_s: How long the oldest flight has waited for its run, in seconds.
        running: Runs that go on.
        slots: Runs at a time.
        run_oldest_s: The age of the oldest run that goes on, in seconds.
        run_slowest_s: The slowest run so far, warm-up included, in seconds.
        runs: Runs finished.
        sliced: Calls of more rows than a run takes, which therefore run in slices.
        max_batch: Rows a run.
        cuts: Batches cut, by reason.
        queue: Seconds from queueing to the cut, of flights.
        run: Seconds that runs took.
        total: Seconds from receipt to result, of calls that got one.
        batch_items: Rows of the batches cut.
        admission: Its door.
        cache: Its memory.
        flights: What may be joined.
        verification: How far remembered answers agree with computed ones.
    """

    accepted: int
    answered: int
    failed: int
    failures: Mapping[str, int]
    cancelled: int
    pending: int
    queue_depth: int
    queue_oldest_s: float
    running: int
    slots: int
    run_oldest_s: float
    run_slowest_s: float
    runs: int
    sliced: int
    max_batch: int
    cuts: Mapping[str, int]
    queue: HistogramStatistics
    run: HistogramStatistics
    total: HistogramStatistics
    batch_items: HistogramStatistics
    admission: AdmissionStatistics
    cache: CacheStatistics
    flights: SingleFlightStatistics
    verification: VerificationStatistics


class NodeHistograms:
    """How long phases take and how large batches are; attributes as in `NodeStatistics`."""

    __slots__ = ("items", "queue", "run", "total")

    def __init__(self) -> None:
        """Begin empty."""
        self.items = Histogram(SIZE_BOUNDS)
        self.queue = Histogram(LATENCY_BOUNDS_S)
        self.run = Histogram(LATENCY_BOUNDS_S)
        self.total = Histogram(LATENCY_BOUNDS_S)

    def observe_cut(self, batch: Batch) -> None:
        """Note a batch that is about to run."""
        self.items.observe(batch.rows)
        observe, started_at = self.queue.observe, batch.started_at
        for flight in batch.flights:
            observe(started_at - flight.queued_at)


def statistics_of(
    node: Node,
    flights: SingleFlightStatistics,
    pending: int,
    running: int,
    queue_oldest_s: float,
    now: float,
) -> NodeStatistics:
    """Look at a node; what it alone can see is handed in."""
    histograms = node.histograms
    return NodeStatistics(
        accepted=node.accepted,
        answered=node.finished_calls - node.failures.total - node.cancelled_calls,
        failed=node.failures.total,
        failures=node.failures.statistics(),
        cancelled=node.cancelled_calls,
        pending=pending,
        queue_depth=node.depth,
        queue_oldest_s=queue_oldest_s,
        running=running,
        slots=node.settings.slots,
        run_oldest_s=node.oldest_run_s(now),
        run_slowest_s=node.slowest_run_s,
        runs=node.runs_finished,
        sliced=node.sliced_calls,
        max_batch=node.settings.max_batch,
        cuts={reason.value: count for reason, count in node.cuts.items()},
        queue=histograms.queue.statistics(),
        run=histograms.run.statistics(),
        total=histograms.total.statistics(),
        batch_items=histograms.items.statistics(),
        admission=node.admission.statistics(),
        cache=node.cache.statistics(),
        flights=flights,
        verification=node.verification.statistics(),
    )
