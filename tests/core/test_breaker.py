"""The breaker does what a model that keeps the whole history does, whatever happens in whatever order."""

import itertools
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from ringserve.core.breaker import TRANSITIONS, Breaker, BreakerState, BreakerStatistics

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN
TIMEOUT_S = 30.0


class Period:
    """A stretch of time in one state; a permit belongs to the period it was given in."""

    def __init__(self, state: BreakerState, begins: float) -> None:
        self.state = state
        self.begins = begins
        self.outcomes: list[str] = []
        self.trials_out = 0


class NaiveBreaker:
    """Keeps every period and every outcome that counted, and counts them anew at each question."""

    def __init__(self, failure_threshold: int, success_threshold: int) -> None:
        self.failure_threshold = failure_threshold
        self.success_threshold = success_threshold
        self.periods = [Period(CLOSED, 0.0)]

    def pass_time(self, now: float) -> None:
        if self.now_in(OPEN) and now - self.period.begins >= TIMEOUT_S:
            self.periods.append(Period(HALF_OPEN, self.period.begins + TIMEOUT_S))

    @property
    def period(self) -> Period:
        return self.periods[-1]

    def now_in(self, state: BreakerState) -> bool:
        return self.period.state is state

    @property
    def failures(self) -> int:
        outcomes = [outcome for period in self.periods for outcome in period.outcomes]
        return len(list(itertools.takewhile(lambda outcome: outcome == "failure", reversed(outcomes))))

    @property
    def successes(self) -> int:
        return self.period.outcomes.count("success") if self.now_in(HALF_OPEN) else 0

    def may_acquire(self) -> bool:
        return self.now_in(CLOSED) or (self.now_in(HALF_OPEN) and self.period.trials_out == 0)

    def acquire(self) -> Period:
        self.period.trials_out += 1
        return self.period

    def hand_back(self, permit: Period, outcome: str, now: float) -> None:
        permit.trials_out -= 1
        if permit is self.period and outcome != "nothing":
            self.count(outcome, now)

    def count(self, outcome: str, now: float) -> None:
        self.period.outcomes.append(outcome)
        if self.now_in(HALF_OPEN) and outcome == "failure":
            self.periods.append(Period(OPEN, now))
        elif self.now_in(HALF_OPEN) and self.successes == self.success_threshold:
            self.periods.append(Period(CLOSED, now))
        elif self.now_in(CLOSED) and self.failures >= self.failure_threshold:
            self.periods.append(Period(OPEN, now))

    def new_incarnation(self, now: float) -> None:
        if not self.now_in(CLOSED):
            self.periods.append(Period(HALF_OPEN, now))


class BreakerMachine(RuleBasedStateMachine):
    permits: Bundle[tuple[int, Period]] = Bundle("permits")

    @initialize(failure_threshold=st.integers(1, 3), success_threshold=st.integers(1, 3))
    def start(self, failure_threshold: int, success_threshold: int) -> None:
        self.now = 0.0
        self.out = 0
        self.breaker = Breaker(failure_threshold, success_threshold, TIMEOUT_S)
        self.naive = NaiveBreaker(failure_threshold, success_threshold)

    @rule(seconds=st.sampled_from([0.5, 10.0, 29.5, 30.0, 1e6]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.naive.pass_time(self.now)

    @rule()
    def pass_time_to_next_wake(self) -> None:
        wake = self.breaker.next_wake(self.now)
        if wake is not None:
            self.now = wake
            self.naive.pass_time(self.now)
            assert self.breaker.state_at(self.now) is HALF_OPEN

    @rule(target=permits)
    def acquire(self) -> MultipleResults[tuple[int, Period]] | tuple[int, Period]:
        permit = self.breaker.try_acquire(self.now)
        assert (permit > 0) == self.naive.may_acquire()
        if not permit:
            return multiple()
        self.out += 1
        return permit, self.naive.acquire()

    @rule(permit=consumes(permits))
    def succeed(self, permit: tuple[int, Period]) -> None:
        self.out -= 1
        self.breaker.succeed(permit[0], self.now)
        self.naive.hand_back(permit[1], "success", self.now)

    @rule(permit=consumes(permits))
    def fail(self, permit: tuple[int, Period]) -> None:
        self.out -= 1
        self.breaker.fail(permit[0], self.now)
        self.naive.hand_back(permit[1], "failure", self.now)

    @rule(permit=consumes(permits))
    def release(self, permit: tuple[int, Period]) -> None:
        self.out -= 1
        self.breaker.release(permit[0], self.now)
        self.naive.hand_back(permit[1], "nothing", self.now)

    @rule()
    def fail_unpermitted(self) -> None:
        self.breaker.fail_unpermitted(self.now)
        self.naive.count("failure", self.now)

    @rule()
    def new_incarnation(self) -> None:
        self.breaker.new_incarnation(self.now)
        self.naive.new_incarnation(self.now)

    @invariant()
    def both_agree(self) -> None:
        breaker, naive = self.breaker, self.naive
        assert breaker.state_at(self.now) is naive.period.state
        assert breaker.failures == naive.failures
        assert breaker.successes == naive.successes
        assert breaker.may_acquire(self.now) == naive.may_acquire()
        assert breaker.permits == self.out
        ends = naive.period.begins + TIMEOUT_S if naive.now_in(OPEN) else None
        assert breaker.next_wake(self.now) == ends

    @invariant()
    def at_most_one_trial_is_out(self) -> None:
        assert not self.naive.now_in(HALF_OPEN) or self.naive.period.trials_out <= 1

    @invariant()
    def counters_count_periods(self) -> None:
        began = [period.state for period in self.naive.periods[1:]]
        assert self.breaker.opened == began.count(OPEN)
        assert self.breaker.closed == began.count(CLOSED)
        # The last time-out may have passed without a call that books it.
        assert began.count(HALF_OPEN) - self.breaker.half_opened in (0, 1)


TestBreakerMachine = BreakerMachine.TestCase
TestBreakerMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def closed(failures: int = 0) -> Breaker:
    breaker = Breaker(5, 2, TIMEOUT_S)
    for _ in range(failures):
        breaker.fail(breaker.try_acquire(0.0), 0.0)
    return breaker


def opened() -> Breaker:
    """A breaker that opened at 0 s."""
    return closed(failures=5)


def half_open() -> Breaker:
    """A breaker as opened at 0 s, asked at 30 s."""
    breaker = opened()
    breaker.release(breaker.try_acquire(30.0), 30.0)
    return breaker


def succeed(breaker: Breaker, now: float) -> None:
    breaker.succeed(breaker.try_acquire(now), now)


def fail(breaker: Breaker, now: float) -> None:
    breaker.fail(breaker.try_acquire(now), now)


def release(breaker: Breaker, now: float) -> None:
    breaker.release(breaker.try_acquire(now), now)


def enough_successes(breaker: Breaker, now: float) -> None:
    succeed(breaker, now)
    succeed(breaker, now)


@pytest.mark.parametrize(
    ("make", "event", "now", "after"),
    [
        (closed, succeed, 1.0, CLOSED),
        (closed, fail, 1.0, CLOSED),
        (closed, release, 1.0, CLOSED),
        (closed, Breaker.fail_unpermitted, 1.0, CLOSED),
        (closed, Breaker.new_incarnation, 1.0, CLOSED),
        (lambda: closed(4), fail, 1.0, OPEN),
        (lambda: closed(4), Breaker.fail_unpermitted, 1.0, OPEN),
        (lambda: closed(4), Breaker.new_incarnation, 1.0, CLOSED),
        (opened, Breaker.fail_unpermitted, 1.0, OPEN),
        (opened, Breaker.new_incarnation, 1.0, HALF_OPEN),
        (half_open, succeed, 30.0, HALF_OPEN),
        (half_open, enough_successes, 30.0, CLOSED),
        (half_open, fail, 30.0, OPEN),
        (half_open, release, 30.0, HALF_OPEN),
        (half_open, Breaker.fail_unpermitted, 30.0, OPEN),
        (half_open, Breaker.new_incarnation, 30.0, HALF_OPEN),
    ],
)
def test_each_row_of_the_table(
    make: Callable[[], Breaker], event: Callable[[Breaker, float], None], now: float, after: BreakerState
) -> None:
    breaker = make()
    event(breaker, now)
    assert breaker.state_at(now) is after


Arrow = tuple[BreakerState, BreakerState]


def test_the_listed_transitions_are_those_that_happen() -> None:
    def arrow(make: Callable[[], Breaker], event: Callable[[Breaker, float], None], now: float) -> Arrow:
        breaker = make()
        before = breaker.state_at(now)
        event(breaker, now)
        return (before, breaker.state_at(now))

    events = [succeed, fail, release, enough_successes, Breaker.fail_unpermitted, Breaker.new_incarnation]
    starts = [(closed, 1.0), (lambda: closed(4), 1.0), (half_open, 30.0)]
    seen = {arrow(make, event, now) for event in events for make, now in starts}
    seen |= {arrow(opened, event, 1.0) for event in (Breaker.fail_unpermitted, Breaker.new_incarnation)}
    seen.add((opened().state_at(1.0), opened().state_at(30.0)))
    assert {(before, after) for before, after in seen if before is not after} == {
        (before, after) for before, _, after in TRANSITIONS
    }


def test_five_failures_in_a_row_open_it_and_a_success_between_them_does_not_let_them_add_up() -> None:
    breaker = closed(failures=4)
    succeed(breaker, 1.0)
    assert breaker.failures == 0
    for _ in range(4):
        fail(breaker, 1.0)
    assert breaker.state_at(1.0) is CLOSED
    fail(breaker, 1.0)
    assert breaker.state_at(1.0) is OPEN
    assert (breaker.failures, breaker.successes) == (5, 0)


def test_an_open_breaker_gives_no_permit_and_shows_half_open_as_soon_as_its_time_is_up() -> None:
    breaker = opened()
    assert breaker.try_acquire(29.999) == 0
    assert not breaker.may_acquire(29.999)
    assert breaker.next_wake(29.999) == 30.0
    assert breaker.state_at(29.999) is OPEN
    assert breaker.state_at(30.0) is HALF_OPEN
    assert breaker.may_acquire(30.0)
    assert breaker.next_wake(30.0) is None


def test_half_open_lets_one_trial_at_a_time_through() -> None:
    breaker = half_open()
    trial = breaker.try_acquire(31.0)
    assert trial
    assert breaker.try_acquire(31.0) == 0
    assert not breaker.may_acquire(31.0)
    breaker.succeed(trial, 31.5)
    assert (breaker.failures, breaker.successes) == (0, 1)
    succeed(breaker, 32.0)
    assert breaker.state_at(32.0) is CLOSED
    assert (breaker.opened, breaker.half_opened, breaker.closed) == (1, 1, 1)


def test_a_cancelled_trial_frees_its_place() -> None:
    breaker = half_open()
    breaker.release(breaker.try_acquire(31.0), 31.0)
    assert breaker.may_acquire(31.0)
    assert breaker.successes == 0


def test_late_outcomes_from_before_a_transition_do_not_count() -> None:
    breaker = Breaker(5, 2, TIMEOUT_S)
    late = [breaker.try_acquire(0.0) for _ in range(20)]
    for permit in late[:5]:
        breaker.fail(permit, 0.0)
    breaker.succeed(late[5], 1.0)
    breaker.fail(late[6], 1.0)
    assert (breaker.state_at(1.0), breaker.failures) == (OPEN, 5)
    trial = breaker.try_acquire(30.0)
    breaker.succeed(late[7], 30.0)
    breaker.succeed(late[8], 30.0)
    breaker.fail(late[9], 30.0)
    breaker.release(late[10], 30.0)
    assert (breaker.state_at(30.0), breaker.successes) == (HALF_OPEN, 0)
    assert not breaker.may_acquire(30.0)
    breaker.succeed(trial, 30.0)
    succeed(breaker, 30.0)
    for permit in late[11:]:
        breaker.fail(permit, 31.0)
    assert (breaker.state_at(31.0), breaker.failures) == (CLOSED, 0)
    assert breaker.permits == 0


def test_failed_reconnections_do_not_keep_it_open_past_its_time_but_the_next_one_reopens_it() -> None:
    breaker = opened()
    for second in range(1, 30):
        breaker.fail_unpermitted(float(second))
    assert breaker.failures == 34
    assert breaker.next_wake(29.0) == 30.0
    assert breaker.state_at(30.0) is HALF_OPEN
    breaker.fail_unpermitted(30.5)
    assert breaker.state_at(30.5) is OPEN
    assert breaker.next_wake(30.5) == 60.5
    assert (breaker.opened, breaker.half_opened) == (2, 1)


def test_a_lost_link_in_half_open_opens_it_and_the_trial_on_that_link_no_longer_counts() -> None:
    breaker = half_open()
    trial = breaker.try_acquire(31.0)
    breaker.fail_unpermitted(31.0)
    breaker.release(trial, 31.0)
    assert breaker.state_at(31.0) is OPEN
    assert breaker.failures == 6


def test_a_new_process_may_be_tried_at_once() -> None:
    breaker = opened()
    breaker.new_incarnation(3.0)
    assert breaker.state_at(3.0) is HALF_OPEN
    assert breaker.try_acquire(3.0) > 0


def test_a_new_process_does_not_wait_for_the_trial_of_the_dead_one_nor_inherit_its_successes() -> None:
    breaker = half_open()
    succeed(breaker, 30.0)
    stuck = breaker.try_acquire(31.0)
    breaker.new_incarnation(32.0)
    assert breaker.successes == 0
    trial = breaker.try_acquire(32.0)
    assert trial > stuck
    breaker.succeed(stuck, 33.0)
    assert breaker.successes == 0
    assert not breaker.may_acquire(33.0)
    breaker.succeed(trial, 33.0)
    assert breaker.successes == 1


def test_a_worker_that_dies_of_its_requests_opens_it_though_each_time_a_new_process_comes() -> None:
    breaker = closed()
    for second in range(5):
        breaker.fail_unpermitted(float(second))
        if second < 4:
            breaker.new_incarnation(float(second))
    assert breaker.state_at(4.0) is OPEN


@pytest.mark.parametrize("hand_back", [Breaker.succeed, Breaker.fail, Breaker.release])
def test_handing_a_permit_back_twice_is_caught(hand_back: Callable[[Breaker, int, float], None]) -> None:
    breaker = closed()
    permit = breaker.try_acquire(0.0)
    hand_back(breaker, permit, 0.0)
    with pytest.raises(AssertionError, match="handed back twice"):
        hand_back(breaker, permit, 0.0)


def test_its_statistics_show_the_state_of_that_moment_and_every_transition() -> None:
    breaker = closed()
    permit = breaker.try_acquire(0.0)
    while breaker.state_at(0.0) is CLOSED:
        breaker.fail_unpermitted(0.0)
    assert breaker.statistics(0.0) == BreakerStatistics(OPEN, breaker.failures, 0, 1, 1, 0, 0)
    breaker.release(permit, 0.0)
    assert breaker.statistics(1e6) == BreakerStatistics(HALF_OPEN, breaker.failures, 0, 0, 1, 0, 0)
