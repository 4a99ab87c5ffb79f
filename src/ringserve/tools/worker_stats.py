"""What the workers counted while a load ran: their `/health`, before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ringserve.errors import UsageError
from ringserve.tools.address import Address, address_of
from ringserve.tools.http_caller import Caller, CallError
from ringserve.tools.json_reply import number_at, object_in, objects_at, text_at
from ringserve.tools.load import NodeCount

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True)
class HealthCounts:
    """A worker's counters at one moment."""

    node_id: str
    requests: int
    hits: int
    batches: int
    batched_items: float


@dataclass(frozen=True, slots=True)
class WorkerShare:
    """What one worker did in a run. `batch_size` is in items a batch; None where it is not known."""

    node_id: str
    requests: int
    hits: int
    batch_size: float | None

    @property
    def hit_rate(self) -> float:
        """Hits a request, from 0 to 1."""
        return self.hits / self.requests if self.requests else 0.0


def workers_of(stats: dict[str, object], gateway: Address) -> list[Address]:
    """Give the workers that a gateway names in `/stats`, as far as they can be called from here."""
    found: list[Address] = []
    for breaker in objects_at(stats, "circuit_breakers"):
        try:
            worker = address_of(text_at(breaker, "node"), "a worker in the gateway's /stats")
        except UsageError:
            # Not our user's mistake: the gateway calls its worker by something that is no address.
            continue
        # The loopback of another machine is not ours.
        if worker.host not in _LOOPBACK or gateway.host in _LOOPBACK:
            found.append(worker)
    return found


def health_of(workers: Sequence[Address], timeout_s: float) -> dict[Address, HealthCounts]:
    """Ask each worker for its counters; one that does not answer like a worker is left out."""
    found = {}
    for address in workers:
        with Caller(address, timeout_s) as caller:
            try:
                answer = object_in(caller.get("/health"))
            except CallError:
                # The report says of whom it has no figures.
                continue
        if answer is not None and "node_id" in answer:
            found[address] = _counts(answer)
    return found


def _counts(answer: dict[str, object]) -> HealthCounts:
    batches = answer.get("batch_processor")
    processor = batches if isinstance(batches, dict) else {}
    total = int(number_at(processor, "total_batches"))
    return HealthCounts(
        node_id=text_at(answer, "node_id"),
        requests=int(number_at(answer, "total_requests")),
        hits=int(number_at(answer, "cache_hits")),
        batches=total,
        batched_items=total * number_at(processor, "avg_batch_size"),
    )


def shares_between(
    before: dict[Address, HealthCounts], after: dict[Address, HealthCounts]
) -> list[WorkerShare]:
    """Give what each worker did between two looks; one that was not there both times is left out.

    A worker that counts less than before was started anew in between: all that it counts is of this run.
    """
    shares = []
    for address, now in after.items():
        then = before.get(address)
        if then is None or now.requests < then.requests:
            then = HealthCounts(now.node_id, 0, 0, 0, 0.0)
        batches = now.batches - then.batches
        size = (now.batched_items - then.batched_items) / batches if batches > 0 else None
        shares.append(WorkerShare(now.node_id, now.requests - then.requests, now.hits - then.hits, size))
    return shares


def shares_in_answers(nodes: dict[str, NodeCount]) -> list[WorkerShare]:
    """Give what each worker did as the answers tell: each names its worker and says if it was a hit."""
    return [WorkerShare(name, count.answers, count.cached, None) for name, count in sorted(nodes.items())]
