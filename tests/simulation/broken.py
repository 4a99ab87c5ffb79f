# ruff: noqa: ANN401 - a broken method takes whatever the right one takes
"""Brains broken on purpose, one way each: what the simulation must find.

Each entry replaces one method for the time of a run. `sentence` says which rule is seen to be broken; several
are joined by `|` where chance decides which comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from ringserve.core.admission import Admission
from ringserve.core.batcher import Batch, Batcher
from ringserve.core.breaker import Breaker, BreakerState
from ringserve.core.cache import Cache
from ringserve.core.deadlines import DeadlineSweep
from ringserve.core.node import Node
from ringserve.core.retry_budget import RetryBudget
from ringserve.core.router import failover
from ringserve.core.router.balance import Balance
from ringserve.core.router.brain import Router
from ringserve.core.router.failover import Verdict
from ringserve.core.router.worker_state import WorkerState
from ringserve.core.signature import Result
from ringserve.core.single_flight import SingleFlight

Broken = Callable[..., Any]


@dataclass(frozen=True)
class Break:
    """One way to be wrong.

    Attributes:
        name: What it does wrong.
        target: Whose method is replaced.
        method: Which.
        make: Makes the broken method of the right one.
        sentence: A pattern of the violation that tells it.
    """

    name: str
    target: object
    method: str
    make: Callable[[Broken], Broken]
    sentence: str

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let it be broken for as long as this lasts."""
        with patch.object(self.target, self.method, self.make(getattr(self.target, self.method))):
            yield


def always(value: object) -> Callable[[Broken], Broken]:
    """Answer the same, whatever is asked."""
    return lambda _right: lambda *_, **__: value


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
    def fleet_changed(self: Balance) -> list[WorkerState]:
        foreign: list[WorkerState] = right(self)
        for worker in self.workers:
            worker.able = worker.link_up and not worker.hung and not worker.foreign
        able = [worker.load for worker in self.workers if worker.able]
        self._able_count, self._able_load = len(able), sum(able)
        return foreign

    return fleet_changed


def _sends_to_the_hung(right: Broken) -> Broken:
    def fleet_changed(self: Balance) -> list[WorkerState]:
        foreign: list[WorkerState] = right(self)
        for worker in self.workers:
            worker.able = worker.link_up and not worker.going_away and not worker.foreign
        able = [worker.load for worker in self.workers if worker.able]
        self._able_count, self._able_load = len(able), sum(able)
        return foreign

    return fleet_changed


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


def _lost_trial(right: Broken) -> Broken:
    def release(self: Breaker, permit: int, now: float) -> None:
        self.permits -= 1

    return release


# Single flight, cache, node


def _joins_any_flight(right: Broken) -> Broken:
    def try_join(self: SingleFlight, call: Any) -> bool:
        for flight in self._flights.values():
            if flight.signature.encoded == call.signature.encoded:
                flight.calls.append(call)
                call.flight = flight
                return True
        return False

    return try_join


def _all_leave_with_one(right: Broken) -> Broken:
    def leave(self: Node, call: Any) -> None:
        flight, call.flight = call.flight, None
        if flight is not None:
            flight.calls.clear()

    return leave


def _guesses_in_cache(right: Broken) -> Broken:
    def get(self: Cache[Any], key: bytes) -> Any:
        return next(iter(self._entries.values()))[0] if len(self._entries) > 1 else right(self, key)

    return get


def _fails_the_whole_batch(right: Broken) -> Broken:
    def failed(self: Node, batch: Batch, error: Any) -> None:
        for flight in batch.flights:
            self._flights.close(flight)
            for call in list(flight.calls):
                self._fail(call, error)

    return failed


def _shuffles_a_batch(right: Broken) -> Broken:
    def finished(self: Node, batch: Batch, outcome: Any, now: float) -> None:
        right(self, batch, outcome[::-1] if isinstance(outcome, list) else outcome, now)

    return finished


def _remembers_too_much(right: Broken) -> Broken:
    def put(self: Cache[Any], key: bytes, value: Result, size: int) -> None:
        self._entries[key] = (value, size)

    return put


# The batcher


def _mixes_signatures(right: Broken) -> Broken:
    def cut(self: Batcher, now: float) -> Any:
        batch = right(self, now)
        if batch is not None:
            for queue in list(self._groups.values()):
                batch.flights.append(flight := queue.popleft())
                flight.running = True
                batch.rows += flight.rows
                self.depth -= flight.rows
                return batch
        return batch

    return cut


def _ignores_max_batch(right: Broken) -> Broken:
    def cut(self: Batcher, now: float) -> Any:
        most, self._max_batch = self._max_batch, 1000
        try:
            return right(self, now)
        finally:
            self._max_batch = most

    return cut


def _drops_the_last(right: Broken) -> Broken:
    def cut(self: Batcher, now: float) -> Any:
        batch = right(self, now)
        if batch is not None and len(batch.flights) > 1:
            batch.rows -= batch.flights.pop().rows
        return batch

    return cut


def _runs_the_abandoned(right: Broken) -> Broken:
    def abandon(self: Batcher, flight: Any) -> None:
        pass

    return abandon


BREAKS = (
    Break("answers twice", Router, "answered", _answers_twice, "ended twice"),
    Break("swaps two answers", Router, "answered", _swaps_answers, "a wrong answer"),
    Break("loses a call when it moves some", Router, "_move", _loses_one_when_moving, "accepted !="),
    Break("never repeats for free", RetryBudget, "try_spend", always(True), "the budget gives"),
    Break("sends to who goes away", Balance, "fleet_changed", _sends_to_the_leaving, "goes away"),
    Break("sends to who is hung", Balance, "fleet_changed", _sends_to_the_hung, "is hung"),
    Break("asks again who refused", Balance, "pass_on", _forgets_refusals, "had refused it"),
    Break("forgets where keys are", Balance, "choose", _forgets_where_keys_are, "left its key|miscounted"),
    Break("never spills", Balance, "_overloaded", always(False), "is overloaded"),
    Break("spills too early", Balance, "_overloaded", _spills_early, "without a reason"),
    Break("grants itself credit", WorkerState, "has_credit_for", always(True), "than the worker granted"),
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
    Break(
        "never joins", SingleFlight, "try_join", always(False), "one key twice|a key runs twice|in the cache"
    ),
    Break("joins any flight", SingleFlight, "try_join", _joins_any_flight, "a wrong answer"),
    Break("never closes a flight", SingleFlight, "close", always(None), "calls pending|never ended"),
    Break("all leave with one", Node, "_leave", _all_leave_with_one, "calls pending|never ended"),
    Break("guesses in the cache", Cache, "get", _guesses_in_cache, "a wrong answer"),
    Break("remembers too much", Cache, "put", _remembers_too_much, "more entries than it may"),
    Break("fails a whole batch", Node, "_failed", _fails_the_whole_batch, "500 for an input"),
    Break("shuffles a batch", Node, "finished", _shuffles_a_batch, "a wrong answer"),
    Break("runs what is too late", Node, "_drop_expired", always(True), "too late for all"),
    Break("lets everybody in", Admission, "check", always(None), "items wait"),
    Break("mixes signatures", Batcher, "cut", _mixes_signatures, "different signatures|rows in a run|twice"),
    Break("cuts too much", Batcher, "cut", _ignores_max_batch, "rows in a run of at most"),
    Break("drops the last of a batch", Batcher, "cut", _drops_the_last, "calls pending|never ended"),
    Break("runs what was abandoned", Batcher, "abandon", _runs_the_abandoned, "depth is miscounted"),
    Break("never falls due", Batcher, "_due", always(False), "nothing was wrong any more"),
)
