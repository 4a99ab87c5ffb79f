"""What a gateway shows of its router. The label `worker` is an address as typed at the gateway's start."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ringserve.core.breaker import BreakerState
from ringserve.core.router.statistics import RouterStatistics, WorkerStatistics
from ringserve.observe.catalogue.metric import Kind, Metric, Value, one_of

LINK_STATES = ("up", "down", "going_away", "hung", "other_model")
BREAKER_STATES = tuple(state.value for state in BreakerState)

Rows = Iterator[tuple[tuple[str, ...], Value]]


def _each(read: Callable[[WorkerStatistics], Value]) -> Callable[[RouterStatistics], Rows]:
    """Read one value of each worker."""
    return lambda s: (((worker.address,), read(worker)) for worker in s.workers)


def _links(s: RouterStatistics) -> Rows:
    for worker in s.workers:
        yield from one_of(LINK_STATES, worker.link, (worker.address,))


def _breakers(s: RouterStatistics) -> Rows:
    for worker in s.workers:
        yield from one_of(BREAKER_STATES, worker.breaker.state.value, (worker.address,))


def _transitions(s: RouterStatistics) -> Rows:
    for worker in s.workers:
        breaker = worker.breaker
        yield (worker.address, BreakerState.OPEN.value), breaker.opened
        yield (worker.address, BreakerState.HALF_OPEN.value), breaker.half_opened
        yield (worker.address, BreakerState.CLOSED.value), breaker.closed


_REQUESTS: tuple[Metric[RouterStatistics], ...] = (
    Metric(
        "ringserve_requests_accepted_total",
        Kind.COUNTER,
        "Inference requests taken on. At every moment it is ringserve_requests_finished_total, all outcomes "
        "of it, and ringserve_requests_pending together.",
        lambda s: s.accepted,
    ),
    Metric(
        "ringserve_requests_finished_total",
        Kind.COUNTER,
        "Inference requests that ended: answered with a result, failed with an error, or cancelled since "
        "the caller left.",
        lambda s: [(("answered",), s.answered), (("failed",), s.failed), (("cancelled",), s.cancelled)],
        ("outcome",),
    ),
    Metric(
        "ringserve_request_failures_total",
        Kind.COUNTER,
        "Of the failed ones, how many by error: the names of `ringserve.errors`.",
        lambda s: (((error,), count) for error, count in s.failures.items()),
        ("error",),
    ),
    Metric(
        "ringserve_requests_pending",
        Kind.GAUGE,
        "Inference requests in flight, counted where they are.",
        lambda s: s.pending,
    ),
    Metric(
        "ringserve_request_seconds",
        Kind.HISTOGRAM,
        "How long answered requests took from receipt to result (total, the one phase that a gateway knows).",
        lambda s: [(("total",), s.latency)],
        ("phase",),
    ),
    Metric(
        "ringserve_keys_in_flight",
        Kind.GAUGE,
        "Distinct inputs in flight; equal ones follow each other to one worker.",
        lambda s: s.keys,
    ),
    Metric(
        "ringserve_parked_requests",
        Kind.GAUGE,
        "Requests that wait for the outcome of a half-open trial.",
        lambda s: s.parked,
    ),
    Metric(
        "ringserve_parked_requests_max",
        Kind.GAUGE,
        "The most of them; more get 429.",
        lambda s: s.parked_max,
    ),
    Metric(
        "ringserve_held_requests",
        Kind.GAUGE,
        "Requests that wait to learn which of their workers died.",
        lambda s: s.held,
    ),
)

_AGAIN: tuple[Metric[RouterStatistics], ...] = (
    Metric(
        "ringserve_moves_total",
        Kind.COUNTER,
        "Requests sent on to another worker, whatever the reason.",
        lambda s: s.moved,
    ),
    Metric(
        "ringserve_retries_total",
        Kind.COUNTER,
        "Of the moves, those after a refusal by a live worker, which the retry budget pays for.",
        lambda s: s.budget.spent,
    ),
    Metric(
        "ringserve_retries_denied_total",
        Kind.COUNTER,
        "Retries that the budget did not allow.",
        lambda s: s.budget.refused,
    ),
    Metric(
        "ringserve_retry_budget_available",
        Kind.GAUGE,
        "Retries that may be made now.",
        lambda s: s.budget.available,
    ),
    Metric(
        "ringserve_late_answers_total",
        Kind.COUNTER,
        "Answers dropped, since their request had moved on or ended.",
        lambda s: s.late,
    ),
)

_BREAKERS: tuple[Metric[RouterStatistics], ...] = (
    Metric(
        "ringserve_breaker_state",
        Kind.GAUGE,
        "1 for the state the worker's circuit breaker is in, 0 for the others.",
        _breakers,
        ("worker", "state"),
    ),
    Metric(
        "ringserve_breaker_transitions_total",
        Kind.COUNTER,
        "How often the breaker went to a state.",
        _transitions,
        ("worker", "to"),
    ),
    Metric(
        "ringserve_breaker_failures",
        Kind.GAUGE,
        "Consecutive failures up to now.",
        _each(lambda w: w.breaker.failures),
        ("worker",),
    ),
)

_LINKS: tuple[Metric[RouterStatistics], ...] = (
    Metric(
        "ringserve_link_state",
        Kind.GAUGE,
        "1 for the state of the link to the worker, 0 for the others; only `up` gets requests.",
        _links,
        ("worker", "state"),
    ),
    Metric(
        "ringserve_link_silence_seconds",
        Kind.GAUGE,
        "How long the link has given no byte; 0 while it is down.",
        _each(lambda w: w.silence_s),
        ("worker",),
    ),
    Metric(
        "ringserve_link_silence_seconds_max",
        Kind.GAUGE,
        "The longest silence (--hang-timeout-s); then the link is given up.",
        lambda s: s.hang_timeout_s,
    ),
    Metric(
        "ringserve_link_requests",
        Kind.GAUGE,
        "Requests that are with the worker.",
        _each(lambda w: w.in_flight),
        ("worker",),
    ),
    Metric(
        "ringserve_link_items",
        Kind.GAUGE,
        "Items that are with the worker.",
        _each(lambda w: w.items_out),
        ("worker",),
    ),
    Metric(
        "ringserve_link_items_max",
        Kind.GAUGE,
        "The credit in items that the worker granted (--credit-items); where none has any left, 429.",
        _each(lambda w: w.credit_items),
        ("worker",),
    ),
    Metric(
        "ringserve_link_bytes",
        Kind.GAUGE,
        "Bytes of tensors that are with the worker.",
        _each(lambda w: w.bytes_out),
        ("worker",),
    ),
    Metric(
        "ringserve_link_bytes_max",
        Kind.GAUGE,
        "The credit in bytes that the worker granted (--credit-mb); where none has any left, 429.",
        _each(lambda w: w.credit_bytes),
        ("worker",),
    ),
    Metric(
        "ringserve_link_requests_sent_total",
        Kind.COUNTER,
        "Requests sent to the worker, repeats included.",
        _each(lambda w: w.requests),
        ("worker",),
    ),
)

_BALANCE: tuple[Metric[RouterStatistics], ...] = (
    Metric(
        "ringserve_worker_queue_items",
        Kind.GAUGE,
        "The queue depth that the worker last reported.",
        _each(lambda w: w.depth),
        ("worker",),
    ),
    Metric(
        "ringserve_worker_load_items",
        Kind.GAUGE,
        "The load that bounded load compares: distinct items in flight there, or the reported depth if more.",
        _each(lambda w: w.load),
        ("worker",),
    ),
    Metric(
        "ringserve_spills_total",
        Kind.COUNTER,
        "Requests that the worker's load passed on to another.",
        _each(lambda w: w.spilled),
        ("worker",),
    ),
    Metric(
        "ringserve_turned_away_total",
        Kind.COUNTER,
        "Requests at home on the worker that were refused without asking it: it had just refused others.",
        _each(lambda w: w.turned_away),
        ("worker",),
    ),
    Metric(
        "ringserve_ring_share",
        Kind.GAUGE,
        "The share of all inputs that is at home on the worker, from 0 to 1.",
        _each(lambda w: w.share),
        ("worker",),
    ),
    Metric(
        "ringserve_ring_points", Kind.GAUGE, "Points on the ring of all workers.", lambda s: s.ring_points
    ),
    Metric(
        "ringserve_model_workers",
        Kind.GAUGE,
        "Workers that have the model and may be sent requests for it; with 0 they get 503.",
        lambda s: (((model.name, model.version), model.able) for model in s.models if model.taken),
        ("model", "version"),
    ),
)

GATEWAY = _REQUESTS + _AGAIN + _BREAKERS + _LINKS + _BALANCE
"""All that a gateway shows beside what every server shows."""
