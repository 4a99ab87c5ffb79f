# ruff: noqa: ANN401 - a broken method takes whatever the right one takes
"""Routers and breakers broken on purpose, one way each: what the simulation must find.

`sentence` says which rule is seen to be broken; several are joined by `|` where chance decides which it is.
"""

from __future__ import annotations

from typing import Any

from ringserve.core.breaker import Breaker, BreakerState
from ringserve.core.call import Call
from ringserve.core.deadlines import DeadlineSweep
from ringserve.core.retry_budget import RetryBudget
from ringserve.core.router import failover
from ringserve.core.router.balance import Balance
from ringserve.core.router.brain import Router
from ringserve.core.router.failover import Verdict
from ringserve.core.router.fullness import WINDOW_S, Fullness
from ringserve.core.router.loads import Loads
from ringserve.core.router.models import Models
from ringserve.core.router.worker_state import WorkerState
from ringserve.errors import ServeError
from tests.simulation.breaks import Break, Broken, always

# The router


def _answers_twice(right: Broken) -> Broken:
    def answered(self: Router, index: int, call_id: int, *rest: Any) -> None:
        call = self.workers[index].in_flight.get(call_id)
        right(self, index, call_id, *rest)
        if call is not None:
            call.answer(rest[0], "again", False, 0)

    return answered


def _swaps_answers(right: Broken) -> Broken:
    def answered(self: Router, index: int, call_id: int, *rest: Any) -> None:
        others = [number for number in self.workers[index].in_flight if number != call_id]
        right(self, index, others[0] if others else call_id, *rest)

    return answered


def _loses_one_when_moving(right: Broken) -> Broken:
    return lambda self, calls, now: right(self, calls[:-1], now)


def _sends_to_the_leaving(right: Broken) -> Broken:
    def recount(self: Loads) -> None:
        for worker in self.workers:
            worker.able = worker.link_up and not worker.hung
        able = [worker.load for worker in self.workers if worker.able]
        self.able_count, self.able_load = len(able), sum(able)

    return recount


def _sends_to_the_hung(right: Broken) -> Broken:
    def recount(self: Loads) -> None:
        for worker in self.workers:
            worker.able = worker.link_up and not worker.going_away
        able = [worker.load for worker in self.workers if worker.able]
        self.able_count, self.able_load = len(able), sum(able)

    return recount


def _forgets_refusals(right: Broken) -> Broken:
    def pass_on(self: Balance, call: Any, now: float) -> Any:
        call.refusals = ()
        return right(self, call, now)

    return pass_on


def _forgets_where_keys_are(right: Broken) -> Broken:
    def choose(self: Balance, call: Any, now: float) -> Any:
        self._flights.pop(call.key, None)
        return right(self, call, now)

    return choose


def _forgets_who_still_has(right: Broken) -> Broken:
    return lambda self, key, flight: flight.table.pop(key)


def _means_any_file(right: Broken) -> Broken:
    def find(self: Models, signature: Any) -> Any:
        named = [balance for balance in self.instances() if balance.spec.name == signature.model]
        return named[-1] if named else right(self, signature)

    return find


def _spills_early(right: Broken) -> Broken:
    return lambda self, worker: worker.load > 0


def _never_holds(right: Broken) -> Broken:
    def judge(call: Any, workers: Any, *, patience: bool) -> Verdict:
        return right(call, workers, patience=False)  # type: ignore[no-any-return]

    return judge


def _keeps_permits(right: Broken) -> Broken:
    def take_back(self: Router, call: Any, now: float) -> Any:
        if call.worker >= 0:
            self.workers[call.worker].breaker.permits += 1
        return right(self, call, now)

    return take_back


def _takes_sleep_for_silence(right: Broken) -> Broken:
    def tick(self: Router, now: float) -> None:
        self._ticked_at = None
        right(self, now)

    return tick


# The breaker


def _forgives_nothing(right: Broken) -> Broken:
    def succeed(self: Breaker, permit: int, now: float) -> None:
        failures = self.failures
        right(self, permit, now)
        self.failures = failures

    return succeed


def _stays_open_while_reconnecting(right: Broken) -> Broken:
    def fail_unpermitted(self: Breaker, now: float) -> None:
        right(self, now)
        if self._state is BreakerState.OPEN:
            self._open_until = now + self._timeout_s

    return fail_unpermitted


def _many_trials(right: Broken) -> Broken:
    def try_acquire(self: Breaker, now: float) -> Any:
        self._trial = False
        return right(self, now)

    return try_acquire


def _never_opens(right: Broken) -> Broken:
    def count_failure(self: Breaker, now: float) -> None:
        self.failures += 1

    return count_failure


def _full_for_ever(right: Broken) -> Broken:
    def refusal_of(self: Fullness, call: Call, now: float) -> ServeError | None:
        return self._error if self.rows else None

    return refusal_of


def _full_for_many_windows(right: Broken) -> Broken:
    def refusal_of(self: Fullness, call: Call, now: float) -> Any:
        return right(self, call, now - 20 * WINDOW_S)

    return refusal_of


def _lost_trial(right: Broken) -> Broken:
    def release(self: Breaker, permit: int, now: float) -> None:
        self.permits -= 1

    return release


BROKEN_ROUTERS = (
    Break("answers twice", Router, "answered", _answers_twice, "ended twice"),
    Break("swaps two answers", Router, "answered", _swaps_answers, "a wrong answer"),
    Break("loses a call when it moves some", Router, "_move", _loses_one_when_moving, "accepted !="),
    Break("never repeats for free", RetryBudget, "try_spend", always(True), "the budget gives"),
    Break("sends to who goes away", Loads, "recount", _sends_to_the_leaving, "goes away"),
    Break("sends to who is hung", Loads, "recount", _sends_to_the_hung, "is hung"),
    Break("asks again who refused", Balance, "pass_on", _forgets_refusals, "had refused it"),
    Break("forgets who still has a key", Loads, "_forget", _forgets_who_still_has, "left its key"),
    Break("forgets where keys are", Balance, "choose", _forgets_where_keys_are, "left its key|miscounted"),
    Break("takes another file than most", Models, "find", _means_any_file, "another model|has not the model"),
    Break("passes over what workers have now", Router, "models_changed", always(None), "ModelGone|404"),
    Break(
        "follows where the model is gone", Balance, "_follow_no_more", always(None), "has not the model", 59
    ),
    Break("never spills", Balance, "_overloaded", always(False), "is overloaded"),
    Break("spills too early", Balance, "_overloaded", _spills_early, "without a reason"),
    Break("grants itself credit", WorkerState, "has_credit_for", always(True), "than the worker granted"),
    Break("takes who was full for full", Fullness, "refusal_of", _full_for_ever, "take it|without a reason"),
    Break("asks a full worker too late", Fullness, "refusal_of", _full_for_many_windows, "take it|without a"),
    Break("never suspects poison", failover, "judge", always(Verdict.MOVE), "three workers that died"),
    Break("suspects everybody", failover, "judge", always(Verdict.CONDEMN), "called poison"),
    Break("has no patience for a verdict", failover, "judge", _never_holds, "called poison"),
    Break("never expires", DeadlineSweep, "due", always(False), "after its deadline|never ended"),
    Break("gives no silent link up", Router, "_check_link", always(None), "has been silent"),
    Break("takes its sleep for silence", Router, "tick", _takes_sleep_for_silence, "own sleep"),
    Break("keeps permits of who left", Router, "_take_back", _keeps_permits, "permits are miscounted"),
    Break("forgives nothing", Breaker, "succeed", _forgives_nothing, "failures are miscounted"),
    Break(
        "stays open", Breaker, "fail_unpermitted", _stays_open_while_reconnecting, "is OPEN, not HALF_OPEN"
    ),
    Break("lets many try", Breaker, "try_acquire", _many_trials, "a second trial"),
    Break("never opens", Breaker, "_count_failure", _never_opens, "is CLOSED, not OPEN"),
    Break("does not know a new process", Breaker, "new_incarnation", always(None), "not HALF_OPEN"),
    Break(
        "never ends a trial that left", Breaker, "release", _lost_trial, "nothing was wrong any more|passed"
    ),
)
