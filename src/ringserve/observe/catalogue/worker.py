"""What a worker shows of the nodes of its models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ringserve.core.node_statistics import NodeStatistics
from ringserve.observe.catalogue.metric import Kind, Metric, Value, Values

_MODEL = ("model", "version")


@dataclass(frozen=True, slots=True)
class ModelNode:
    """A model that a worker serves, at one moment.

    Attributes:
        name: Of the model.
        version: Of the model.
        node: Its brain.
        inline: Whether its next run goes in the event loop.
        places_changed: How often that changed.
    """

    name: str
    version: str
    node: NodeStatistics
    inline: bool
    places_changed: int


@dataclass(frozen=True, slots=True)
class WorkerStatistics:
    """A worker at one moment.

    Attributes:
        models: Those that it offers.
        loaded: How many it has loaded, those that it offers no more included.
        loaded_max: How many it may have.
        links: Gateways that hold a link to it.
        links_max: How many may.
    """

    models: Sequence[ModelNode]
    loaded: int
    loaded_max: int
    links: int
    links_max: int


def _of_model(
    name: str, kind: Kind, text: str, read: Callable[[ModelNode], Values], labels: tuple[str, ...] = ()
) -> Metric[WorkerStatistics]:
    """A metric of each model; `read` finds it in one of them, by labels of its own."""

    def read_all(s: WorkerStatistics) -> Iterator[tuple[tuple[str, ...], Value]]:
        metric = Metric(name, kind, text, read, labels)
        for model in s.models:
            for own, value in metric.samples(model):
                yield (model.name, model.version, *own), value

    return Metric(name, kind, text, read_all, (*_MODEL, *labels))


_REQUESTS: tuple[Metric[WorkerStatistics], ...] = (
    _of_model(
        "ringserve_requests_accepted_total",
        Kind.COUNTER,
        "Inference requests taken on, over HTTP and links. At every moment it is "
        "ringserve_requests_finished_total of all outcomes and ringserve_requests_pending together.",
        lambda s: s.node.accepted,
    ),
    _of_model(
        "ringserve_requests_finished_total",
        Kind.COUNTER,
        "Inference requests that ended: answered with a result, failed with an error (those shed are among "
        "them), or cancelled since nobody waits any more.",
        lambda s: [
            (("answered",), s.node.answered),
            (("failed",), s.node.failed),
            (("cancelled",), s.node.cancelled),
        ],
        ("outcome",),
    ),
    _of_model(
        "ringserve_request_failures_total",
        Kind.COUNTER,
        "Of the failed ones, how many by error: the names of `ringserve.errors`.",
        lambda s: (((error,), count) for error, count in s.node.failures.items()),
        ("error",),
    ),
    _of_model(
        "ringserve_requests_pending",
        Kind.GAUGE,
        "Inference requests in flight, counted where they are.",
        lambda s: s.node.pending,
    ),
    _of_model(
        "ringserve_request_seconds",
        Kind.HISTOGRAM,
        "How long phases took: queue (each computation, until it was put in a batch), run (each run of the "
        "model) and total (each answered request, from receipt to result).",
        lambda s: [(("queue",), s.node.queue), (("run",), s.node.run), (("total",), s.node.total)],
        ("phase",),
    ),
    _of_model(
        "ringserve_sheds_total",
        Kind.COUNTER,
        "Requests refused with 429: the queue was full (queue_full), the wait would be too long (wait), "
        "or too long for the request's deadline (deadline).",
        lambda s: [
            (("queue_full",), s.node.admission.shed_full),
            (("wait",), s.node.admission.shed_wait),
            (("deadline",), s.node.admission.shed_deadline),
        ],
        ("reason",),
    ),
)

_QUEUE: tuple[Metric[WorkerStatistics], ...] = (
    _of_model(
        "ringserve_queue_items", Kind.GAUGE, "Items that wait for a run.", lambda s: s.node.queue_depth
    ),
    _of_model(
        "ringserve_queue_items_max",
        Kind.GAUGE,
        "The most of them (--max-queue); more get 429.",
        lambda s: s.node.admission.max_queue,
    ),
    _of_model(
        "ringserve_queue_oldest_seconds",
        Kind.GAUGE,
        "How long the oldest of them has waited.",
        lambda s: s.node.queue_oldest_s,
    ),
    _of_model(
        "ringserve_queue_wait_seconds_max",
        Kind.GAUGE,
        "The longest wait to be expected (--max-wait-ms); beyond it 429.",
        lambda s: s.node.admission.max_wait_s,
    ),
    _of_model(
        "ringserve_queue_item_seconds",
        Kind.GAUGE,
        "What an item of the queue takes, as measured; times the depth it is the wait to be expected.",
        lambda s: s.node.admission.item_s,
    ),
)

_BATCHES: tuple[Metric[WorkerStatistics], ...] = (
    _of_model(
        "ringserve_batches_total",
        Kind.COUNTER,
        "Batches cut: at --max-batch (full), since the oldest item had waited --batch-timeout-ms (due), or "
        "since the engine was free (idle).",
        lambda s: (((reason,), count) for reason, count in s.node.cuts.items()),
        ("reason",),
    ),
    _of_model(
        "ringserve_batch_items", Kind.HISTOGRAM, "Items in each of them.", lambda s: s.node.batch_items
    ),
    _of_model(
        "ringserve_batch_items_max",
        Kind.GAUGE,
        "The most items in one (--max-batch, or 1 for a model whose items may not share a run).",
        lambda s: s.node.max_batch,
    ),
    _of_model(
        "ringserve_runs_total",
        Kind.COUNTER,
        "Runs of the model that ended; a failed batch runs again item by item.",
        lambda s: s.node.runs,
    ),
    _of_model(
        "ringserve_requests_sliced_total",
        Kind.COUNTER,
        "Requests of more items than one run takes, which ran in slices and were answered once.",
        lambda s: s.node.sliced,
    ),
    _of_model("ringserve_runs_going", Kind.GAUGE, "Runs that go on.", lambda s: s.node.running),
    _of_model("ringserve_runs_going_max", Kind.GAUGE, "The most runs at a time.", lambda s: s.node.slots),
    _of_model(
        "ringserve_run_oldest_seconds",
        Kind.GAUGE,
        "The age of the oldest run that goes on.",
        lambda s: s.node.run_oldest_s,
    ),
    _of_model(
        "ringserve_run_slowest_seconds",
        Kind.GAUGE,
        "The slowest run so far, warm-up included. A run that lasts ten times as long, and longer than "
        "--hang-timeout-s, counts as hung.",
        lambda s: s.node.run_slowest_s,
    ),
    _of_model(
        "ringserve_runs_inline",
        Kind.GAUGE,
        "1 while runs go in the event loop, 0 while they go in a thread.",
        lambda s: float(s.inline),
    ),
    _of_model(
        "ringserve_runs_place_changes_total",
        Kind.COUNTER,
        "How often that changed.",
        lambda s: s.places_changed,
    ),
)

_CACHE: tuple[Metric[WorkerStatistics], ...] = (
    _of_model(
        "ringserve_cache_hits_total", Kind.COUNTER, "Answers from memory.", lambda s: s.node.cache.hits
    ),
    _of_model(
        "ringserve_cache_misses_total", Kind.COUNTER, "Look-ups in vain.", lambda s: s.node.cache.misses
    ),
    _of_model(
        "ringserve_cache_joins_total",
        Kind.COUNTER,
        "Of the look-ups in vain, those that joined an equal request's run.",
        lambda s: s.node.flights.joins,
    ),
    _of_model(
        "ringserve_cache_evictions_total",
        Kind.COUNTER,
        "Answers forgotten to make room.",
        lambda s: s.node.cache.evictions,
    ),
    _of_model(
        "ringserve_cache_oversized_total",
        Kind.COUNTER,
        "Answers not remembered, since one alone exceeds --cache-mb.",
        lambda s: s.node.cache.oversized,
    ),
    _of_model("ringserve_cache_entries", Kind.GAUGE, "Answers remembered.", lambda s: s.node.cache.entries),
    _of_model(
        "ringserve_cache_entries_max",
        Kind.GAUGE,
        "The most of them (--cache-capacity).",
        lambda s: s.node.cache.capacity,
    ),
    _of_model("ringserve_cache_bytes", Kind.GAUGE, "Memory they take.", lambda s: s.node.cache.bytes),
    _of_model(
        "ringserve_cache_bytes_max",
        Kind.GAUGE,
        "The most memory for them (--cache-mb).",
        lambda s: s.node.cache.bytes_max,
    ),
    _of_model(
        "ringserve_cache_verified_total",
        Kind.COUNTER,
        "Answers from memory that were computed again and compared (--verify-hits).",
        lambda s: s.node.verification.compared,
    ),
    _of_model(
        "ringserve_cache_verified_differing_total",
        Kind.COUNTER,
        "Of them, those that were not the same to the last bit.",
        lambda s: s.node.verification.differing,
    ),
    _of_model(
        "ringserve_cache_verified_difference_max",
        Kind.GAUGE,
        "The largest difference of one element seen so; +Inf where shapes, strings or booleans differed.",
        lambda s: s.node.verification.largest,
    ),
)

_WORKER: tuple[Metric[WorkerStatistics], ...] = (
    Metric(
        "ringserve_models_loaded",
        Kind.GAUGE,
        "Models in memory, each version counted; those that are being drained are among them.",
        lambda s: s.loaded,
    ),
    Metric("ringserve_models_loaded_max", Kind.GAUGE, "The most of them.", lambda s: s.loaded_max),
    Metric("ringserve_links", Kind.GAUGE, "Gateways that hold a link to this worker.", lambda s: s.links),
    Metric("ringserve_links_max", Kind.GAUGE, "The most of them; more get 503.", lambda s: s.links_max),
)

WORKER = _REQUESTS + _QUEUE + _BATCHES + _CACHE + _WORKER
"""All that a worker shows beside what every server shows."""
