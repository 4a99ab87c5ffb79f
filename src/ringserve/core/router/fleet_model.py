"""What a gateway makes of all its workers: which model they serve, who shares a name, when none can help."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringserve.errors import NoWorker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringserve.core.router.worker_state import WorkerState
    from ringserve.core.tensor import ModelSpec


def served_model(workers: Sequence[WorkerState], current: ModelSpec | None) -> ModelSpec | None:
    """The model most connected workers have; None while none is connected.

    In the middle of a roll-out some workers have the old file and some the new. Answers of the two are never
    mixed: the majority's model is served, and where it is a draw, the one served so far.
    """
    votes: dict[str, int] = {}
    specs: dict[str, ModelSpec] = {}
    for worker in workers:
        spec = worker.spec
        if spec is not None and not worker.going_away:
            votes[spec.digest] = votes.get(spec.digest, 0) + 1
            specs.setdefault(spec.digest, spec)
    if not votes:
        return None
    most = max(votes.values())
    if current is not None and votes.get(current.digest) == most:
        return current
    return next(specs[digest] for digest, count in votes.items() if count == most)


def namesakes(workers: Sequence[WorkerState], newcomer: WorkerState) -> list[WorkerState]:
    """Other connected workers with the newcomer's name."""
    return [
        worker
        for worker in workers
        if worker is not newcomer and worker.link_up and worker.node_id == newcomer.node_id
    ]


def describe_namesakes(one: WorkerState, other: WorkerState) -> str:
    """The warning about two workers of one name."""
    return (
        f"workers {one.address} and {other.address} are both named {other.node_id!r}: answers and statistics "
        "cannot tell them apart; give each a name of its own"
    )


def no_worker(workers: Sequence[WorkerState], now: float) -> NoWorker:
    """The answer where no worker may be asked: with when one might be, if that is known."""
    wakes = [wake - now for worker in workers if (wake := worker.breaker.next_wake(now)) is not None]
    up = any(worker.link_up for worker in workers)
    reason = "no worker may take it now" if up else "no worker is connected"
    return NoWorker(f"{reason} ({len(workers)} configured)", max(1.0, min(wakes)) if up and wakes else 1.0)
