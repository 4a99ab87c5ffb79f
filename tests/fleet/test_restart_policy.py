"""The policy against the rules it promises, for any order of events that a shell can produce."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ringserve import limits
from ringserve.fleet.restart_policy import Action, Phase, RestartPolicy

STEPS = st.floats(0.001, 100.0)


class Life(RuleBasedStateMachine):
    """A shell that obeys the policy at random moments, and a record of what it did."""

    @initialize(now=st.floats(0, 1e6))
    def begin(self, now: float) -> None:
        self.now = now
        self.policy = RestartPolicy(now)
        self.deaths: list[float] = []
        self.usage_error = False
        self.kills = 0

    @rule(step=STEPS)
    def time_passes(self, step: float) -> None:
        self.now += step

    @rule()
    def the_shell_looks(self) -> None:
        action = self.policy.due(self.now)
        if action is Action.START:
            self.policy.started(self.now)
            self.kills = 0
        elif action is Action.KILL:
            self.kills += 1

    @precondition(lambda self: self.policy.alive)
    @rule(state=st.sampled_from(["starting", "ready", "draining"]), healthy=st.booleans())
    def the_child_beats(self, state: str, healthy: bool) -> None:
        self.policy.beat(state, healthy, self.now)
        assert self.policy.heard

    @precondition(lambda self: self.policy.phase in {Phase.STARTING, Phase.READY})
    @rule(limit_s=STEPS)
    def it_is_asked_to_leave(self, limit_s: float) -> None:
        self.policy.leave(self.now, limit_s)

    @precondition(lambda self: not self.policy.alive)
    @rule()
    def somebody_wants_a_new_start(self) -> None:
        self.policy.renew(self.now)
        self.deaths.clear()
        self.usage_error = False
        assert self.policy.due(self.now) is Action.START
        self.policy.started(self.now)
        self.kills = 0

    @precondition(lambda self: self.policy.alive)
    @rule(usage_error=st.sampled_from([False, False, False, True]))
    def the_child_dies(self, usage_error: bool) -> None:
        asked = self.policy.phase is Phase.LEAVING
        self.policy.died(self.now, usage_error=usage_error)
        if asked:
            assert self.policy.due(self.now) is Action.START
            assert self.policy.wait_s(self.now) == 0
            return
        self.deaths.append(self.now)
        self.usage_error = usage_error
        assert 0 <= self.policy.wait_s(self.now) <= limits.RESTART_BACKOFF_MAX_S

    @invariant()
    def it_is_given_up_for_a_reason_and_only_for_one(self) -> None:
        last = self.deaths[-limits.CRASH_LOOP_DEATHS :]
        loop = len(last) == limits.CRASH_LOOP_DEATHS and last[-1] - last[0] <= limits.CRASH_LOOP_WINDOW_S
        given_up = self.policy.phase is Phase.GIVEN_UP
        if given_up:
            assert self.usage_error or loop
        elif not self.policy.alive:
            assert not self.usage_error
            assert not loop

    @invariant()
    def a_life_is_killed_once_at_most(self) -> None:
        assert self.kills <= 1

    @invariant()
    def nothing_is_done_before_the_wake(self) -> None:
        wake = self.policy.next_wake()
        if wake is None:
            assert self.policy.phase in {Phase.KILLED, Phase.GIVEN_UP}
        elif self.now < wake:
            before = self.policy.phase
            assert self.policy.due(self.now) is Action.NONE
            assert self.policy.phase is before


TestLife = Life.TestCase


def started(now: float = 0.0) -> RestartPolicy:
    policy = RestartPolicy(now)
    assert policy.due(now) is Action.START
    policy.started(now)
    return policy


def die_and_wait(policy: RestartPolicy, now: float) -> float:
    policy.died(now, usage_error=False)
    return policy.wait_s(now)


def test_the_wait_doubles_up_to_its_limit() -> None:
    """Deaths far enough apart to be no crash loop, of lives too short to be good."""
    policy, now, waits = started(), 0.0, []
    for _ in range(9):
        now += 20.0
        waits.append(die_and_wait(policy, now))
        now += waits[-1]
        assert policy.due(now) is Action.START
        policy.started(now)
    assert waits == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0, 10.0])


def test_the_wait_starts_small_again_after_a_good_life() -> None:
    policy = started()
    now = 1.0 + die_and_wait(policy, 1.0)
    policy.started(now)
    policy.beat("ready", True, now)
    now += limits.RESTART_GOOD_LIFE_S
    assert die_and_wait(policy, now) == pytest.approx(limits.RESTART_BACKOFF_FIRST_S)


def test_a_long_life_that_never_was_ready_is_no_good_one() -> None:
    policy = started()
    now = 1.0 + die_and_wait(policy, 1.0)
    policy.started(now)
    policy.beat("starting", False, now)
    assert die_and_wait(policy, now + limits.RESTART_GOOD_LIFE_S) > limits.RESTART_BACKOFF_FIRST_S


def test_five_deaths_within_a_minute_are_given_up() -> None:
    policy, now = started(), 0.0
    for _ in range(4):
        now += 1.0 + die_and_wait(policy, now + 1.0)
        policy.started(now)
    policy.died(now + 1.0, usage_error=False)
    assert policy.phase is Phase.GIVEN_UP
    assert policy.due(now + 1e6) is Action.NONE
    assert "5 times within 60 s" in policy.reason


def test_a_usage_error_is_given_up_at_once() -> None:
    policy = started()
    policy.died(1.0, usage_error=True)
    assert policy.phase is Phase.GIVEN_UP


def test_a_ready_child_that_says_nothing_is_killed() -> None:
    policy = started()
    policy.beat("ready", True, 1.0)
    assert policy.due(1.0 + limits.BEAT_SILENCE_MAX_S - 0.01) is Action.NONE
    assert policy.due(1.0 + limits.BEAT_SILENCE_MAX_S) is Action.KILL
    assert "said nothing" in policy.reason


def test_a_child_that_loads_may_be_silent_for_long() -> None:
    policy = started()
    policy.beat("starting", False, 1.0)
    assert policy.due(1.0 + limits.START_SILENCE_MAX_S - 0.01) is Action.NONE
    assert policy.due(1.0 + limits.START_SILENCE_MAX_S) is Action.KILL


@pytest.mark.parametrize(
    ("state", "healthy", "action"),
    [
        ("ready", False, Action.KILL),
        ("ready", True, Action.NONE),
        ("starting", False, Action.NONE),
        ("draining", False, Action.NONE),
    ],
)
def test_only_a_ready_child_that_stays_unhealthy_is_killed(state: str, healthy: bool, action: Action) -> None:
    policy = started()
    policy.beat("ready", True, 0.0)
    for second in range(int(limits.UNHEALTHY_MAX_S) + 1):
        policy.beat(state, healthy, float(second))
    assert policy.due(limits.UNHEALTHY_MAX_S) is action


def test_one_that_was_asked_to_leave_is_killed_when_it_stays() -> None:
    policy = started()
    policy.beat("ready", True, 1.0)
    policy.leave(2.0, 5.0)
    for second in range(3, 7):
        policy.beat("draining", False, float(second))
        assert policy.due(float(second)) is Action.NONE
    assert policy.next_wake() == 7.0
    assert policy.due(7.0) is Action.KILL
    assert policy.reason == "did not end within 5 s"


def test_one_that_was_given_up_starts_with_a_clean_record_when_renewed() -> None:
    policy, now = started(), 0.0
    policy.died(1.0, usage_error=True)
    for _ in range(4):
        now += 2.0
        policy.renew(now) if policy.phase is Phase.GIVEN_UP else None
        policy.started(now)
        now += die_and_wait(policy, now)
    assert policy.phase is Phase.WAITING


def test_getting_well_in_time_is_forgiven() -> None:
    policy = started()
    for second in range(100):
        policy.beat("ready", second % 25 == 0, float(second))
        assert policy.due(float(second)) is Action.NONE


@given(st.lists(STEPS, max_size=20))
def test_a_beat_of_no_living_child_changes_nothing(steps: list[float]) -> None:
    policy, now = RestartPolicy(0.0), 0.0
    for step in steps:
        now += step
        policy.beat("ready", False, now)
    assert policy.phase is Phase.WAITING
    assert not policy.heard
