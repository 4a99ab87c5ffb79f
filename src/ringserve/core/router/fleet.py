"""What a gateway makes of all its workers: who shares a name, and when none can help."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringserve.errors import NoWorker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringserve.core.router.worker_state import WorkerState


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


def no_worker(workers: Sequence[WorkerState], configured: int, model: str, now: float) -> NoWorker:
    """The answer where no worker may be asked: with when one might be, if that is known.

    Args:
        workers: Those that have the model.
        configured: How many there are in all.
        model: Its name.
        now: The time.
    """
    wakes = [wake - now for worker in workers if (wake := worker.breaker.next_wake(now)) is not None]
    up = any(worker.link_up for worker in workers)
    reason = "no worker may take it now" if up else "no worker is connected"
    told = f"{configured} configured"
    if len(workers) < configured:
        told += f", {len(workers)} with model {model!r}"
    return NoWorker(f"{reason} ({told})", max(1.0, min(wakes)) if up and wakes else 1.0)
