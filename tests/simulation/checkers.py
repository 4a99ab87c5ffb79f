"""All that must hold whatever happens; each checker watches one thing and knows nothing of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation import (
    check_answers,
    check_books,
    check_breaker,
    check_limits,
    check_routing,
    check_runs,
)

if TYPE_CHECKING:
    from tests.simulation.watch import Watcher
    from tests.simulation.world import World

CHECKERS: tuple[type[Watcher], ...] = (
    check_answers.OneAnswer,
    check_answers.InTime,
    check_answers.RightAnswer,
    check_answers.FailureHasReason,
    check_answers.WellAfterFaults,
    check_routing.OnlyToTheAble,
    check_routing.FollowsItsKey,
    check_routing.NoNeedlessMove,
    check_routing.LoadIsBounded,
    check_routing.SilenceIsSeen,
    check_breaker.BreakerRules,
    check_limits.CreditHolds,
    check_limits.QueuesHold,
    check_limits.RetryBudgetHolds,
    check_limits.NobodyKillsThree,
    check_runs.BatchRules,
    check_runs.OneRunAKey,
    check_runs.CacheIsExact,
    check_books.BooksBalance,
    check_books.EmptyWhenQuiet,
)


def all_checkers(world: World) -> list[Watcher]:
    """One of each."""
    return [checker(world) for checker in CHECKERS]
