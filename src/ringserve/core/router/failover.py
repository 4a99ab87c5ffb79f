"""The rule that keeps a request which kills workers from killing a third.

A request that was in flight on two workers that *died* goes to no third. When a link breaks, the router
cannot know yet whether the worker died or only the connection did; the reconnection that follows at once
tells: refused, or greeted by another incarnation, means the process is gone; greeted by the same incarnation
means it lives. One such doubt holds nobody up: the request moves on. At the second, the request waits here
for the two verdicts, up to `HOLD_MAX_S`, after which a doubt counts as a death.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from ringserve.errors import PoisonSuspected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringserve.core.call import Call
    from ringserve.core.router.worker_state import WorkerState

DEATHS_MAX = 2
"""Workers that may die with a request in flight before it is answered with an error."""

HOLD_MAX_S = 1.0
"""How long a verdict is waited for, in seconds."""


REROUTES_MAX = 8
"""How often a call may find for nothing that the model is gone from the worker it was sent to."""


class Verdict(enum.Enum):
    """What to do with a request that was stranded."""

    MOVE = "move"
    HOLD = "hold"
    CONDEMN = "condemn"


def judge(call: Call, workers: Sequence[WorkerState], *, patience: bool) -> Verdict:
    """Decide about a stranded call.

    Args:
        call: Its `suspects` are the (worker, incarnation) pairs it was in flight on when the link broke.
        workers: All workers, by index.
        patience: False when the wait for verdicts is over.
    """
    if len(call.suspects) < DEATHS_MAX:
        return Verdict.MOVE
    dead = unknown = 0
    for index, incarnation in call.suspects:
        died = has_died(workers[index], incarnation)
        unknown += died is None
        dead += died is True
    if dead >= DEATHS_MAX or (not patience and dead + unknown >= DEATHS_MAX):
        return Verdict.CONDEMN
    return Verdict.HOLD if dead + unknown >= DEATHS_MAX else Verdict.MOVE


def has_died(worker: WorkerState, incarnation: str) -> bool | None:
    """Whether that process is dead; None while nobody can tell."""
    if worker.incarnation != incarnation or worker.gone:
        return True
    return False if worker.link_up else None


def poison() -> PoisonSuspected:
    """The answer to a request that is condemned."""
    return PoisonSuspected("two workers died with this request in flight; it is not tried on a third")
