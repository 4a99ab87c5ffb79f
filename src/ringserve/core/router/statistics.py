"""A router at one moment, for those who watch it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringserve.core.breaker import BreakerStatistics
    from ringserve.core.histogram import HistogramStatistics
    from ringserve.core.retry_budget import RetryBudgetStatistics
    from ringserve.core.router.balance import Balance
    from ringserve.core.router.brain import Router
    from ringserve.core.router.worker_state import WorkerState


@dataclass(frozen=True, slots=True)
class WorkerStatistics:
    """One worker, as its gateway sees it; attributes as in `WorkerState`, but for these.

    Attributes:
        link: `down`, `going_away`, `hung`, `other_model` or `up`; the first that holds.
        silence_s: How long its link has given no byte, in seconds; 0 without a link.
        in_flight: Calls that are with it.
        credit_items: Items it granted; 0 before its first hello.
        credit_bytes: Bytes it granted; 0 before its first hello.
        turned_away: Calls at home there that were refused without asking it, see `fullness`.
        share: Of the ring of all workers, from 0 to 1.
    """

    address: str
    link: str
    silence_s: float
    breaker: BreakerStatistics
    in_flight: int
    items_out: int
    bytes_out: int
    credit_items: int
    credit_bytes: int
    depth: int
    load: int
    requests: int
    spilled: int
    turned_away: int
    share: float


@dataclass(frozen=True, slots=True)
class InstanceStatistics:
    """One model as this gateway serves it.

    Attributes:
        name: Of the model.
        version: Of the model.
        digest: Of its file.
        taken: Whether requests for this name and version come here; False where most have another file.
        default: Whether requests that name no version do.
        workers: Addresses of those that have it, the ring's members.
        able: How many of them may be sent requests.
        keys: Distinct keys in flight.
    """

    name: str
    version: str
    digest: str
    taken: bool
    default: bool
    workers: tuple[str, ...]
    able: int
    keys: int


@dataclass(frozen=True, slots=True)
class RouterStatistics:
    """The router: `accepted == answered + failed + cancelled + pending`.

    Attributes:
        accepted: Calls taken on.
        answered: Calls that got a result.
        failed: Calls that got an error.
        failures: Of them, how many by error.
        cancelled: Calls whose caller left first.
        pending: Calls that are with a worker, parked or held, as counted in those places.
        parked: Of them, those that wait for a half-open trial.
        parked_max: How many may.
        held: Of them, those that wait to learn who died.
        keys: Distinct keys in flight.
        moved: Calls sent to another worker than before.
        late: Answers dropped, since their call had moved on or ended.
        hang_timeout_s: How long a link may be silent.
        latency: Seconds from receipt to result, of calls that got one.
        budget: Of retries.
        ring_points: Points on the ring of all workers.
        models: One row for each file that a worker has under a name and version.
        workers: In the order given.
    """

    accepted: int
    answered: int
    failed: int
    failures: Mapping[str, int]
    cancelled: int
    pending: int
    parked: int
    parked_max: int
    held: int
    keys: int
    moved: int
    late: int
    hang_timeout_s: float
    latency: HistogramStatistics
    budget: RetryBudgetStatistics
    ring_points: int
    models: tuple[InstanceStatistics, ...]
    workers: tuple[WorkerStatistics, ...]


def statistics_of(router: Router, parked: int, held: int, now: float) -> RouterStatistics:
    """Look at a router, in which so many calls are parked and held."""
    ring = router.models.ring.statistics()
    workers = zip(router.workers, ring.shares, strict=True)
    return RouterStatistics(
        accepted=router.accepted,
        answered=router.finished - router.failures.total - router.cancelled,
        failed=router.failures.total,
        failures=router.failures.statistics(),
        cancelled=router.cancelled,
        pending=router.pending,
        parked=parked,
        parked_max=router.settings.parked_max,
        held=held,
        keys=router.models.flights(),
        moved=router.moved,
        late=router.late,
        hang_timeout_s=router.settings.hang_timeout_s,
        latency=router.latency.statistics(),
        budget=router.budget.statistics(now),
        ring_points=ring.points,
        models=tuple(_model(router, balance) for balance in router.models.instances()),
        workers=tuple(_worker(worker, share, now) for worker, share in workers),
    )


def _model(router: Router, balance: Balance) -> InstanceStatistics:
    spec = balance.spec
    return InstanceStatistics(
        name=spec.name,
        version=spec.version,
        digest=spec.digest,
        taken=router.models.taken(spec.name, spec.version) is balance,
        default=router.models.taken(spec.name) is balance,
        workers=tuple(worker.address for worker in balance.holders()),
        able=balance.able,
        keys=balance.flights(),
    )


def _worker(worker: WorkerState, share: float, now: float) -> WorkerStatistics:
    hello = worker.hello
    return WorkerStatistics(
        address=worker.address,
        link=_link(worker),
        silence_s=now - worker.heard_at if worker.link_up else 0.0,
        breaker=worker.breaker.statistics(now),
        in_flight=len(worker.in_flight),
        items_out=worker.items_out,
        bytes_out=worker.bytes_out,
        credit_items=hello.credit_items if hello is not None else 0,
        credit_bytes=hello.credit_bytes if hello is not None else 0,
        depth=worker.depth,
        load=worker.load,
        requests=worker.requests,
        spilled=worker.spilled,
        turned_away=worker.fullness.turned_away,
        share=share,
    )


def _link(worker: WorkerState) -> str:
    if not worker.link_up:
        return "down"
    if worker.going_away:
        return "going_away"
    if worker.hung:
        return "hung"
    foreign = bool(worker.foreign) and len(worker.foreign) == len(worker.offers)
    return "other_model" if foreign else "up"
