"""The budget grants what a list of everything that happened says it should."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringserve.core.retry_budget import RetryBudget, RetryBudgetStatistics

SLOT_S = 1.0

# Steps of time are eighths of a second: their sums are exact.
steps = st.integers(0, 24).map(lambda number: number / 8) | st.sampled_from([9.0, 10.0, 100.0])
story = st.lists(st.tuples(steps, st.sampled_from(["request", "retry"]), st.integers(1, 40)), max_size=40)


class NaiveBudget:
    """Remembers all events and looks through them."""

    def __init__(self, ratio: float, per_s: float) -> None:
        self.ratio = ratio
        self.per_s = per_s
        self.events: list[tuple[str, float]] = []

    def available(self, now: float) -> float:
        oldest = (now // SLOT_S - 9) * SLOT_S
        recent = [what for what, when in self.events if when >= oldest]
        earned = self.per_s * 10 + self.ratio * recent.count("request")
        return max(0.0, earned - recent.count("retry"))

    def try_spend(self, now: float) -> bool:
        allowed = self.available(now) >= 1
        if allowed:
            self.events.append(("retry", now))
        return allowed


@given(
    story, st.sampled_from([0.0, 0.25, 0.5]), st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.0, 1e6])
)
def test_it_grants_what_the_whole_history_says(
    story: list[tuple[float, str, int]], ratio: float, per_s: float, start: float
) -> None:
    budget, naive = RetryBudget(ratio, per_s), NaiveBudget(ratio, per_s)
    now = start
    for step, what, times in story:
        now += step
        for _ in range(times):
            if what == "request":
                budget.record_request(now)
                naive.events.append(("request", now))
            else:
                assert budget.try_spend(now) == naive.try_spend(now)
        assert budget.available(now) == naive.available(now)
    assert budget.requests == sum(what == "request" for what, _ in naive.events)
    assert budget.spent == sum(what == "retry" for what, _ in naive.events)
    assert budget.spent + budget.refused == sum(times for _, what, times in story if what == "retry")


@given(story)
def test_retries_never_exceed_the_share_and_the_allowance(story: list[tuple[float, str, int]]) -> None:
    # Windows of ten slots, each ending at the last retry before the next one begins, share no slot and
    # hold all retries; each grants its allowance once.
    budget = RetryBudget(0.2, 1.0)
    now = 0.0
    for step, what, times in story:
        now += step
        for _ in range(times):
            if what == "request":
                budget.record_request(now)
            else:
                budget.try_spend(now)
    windows = now // (10 * SLOT_S) + 1
    assert budget.spent <= 0.2 * budget.requests + 10 * windows


def test_a_lone_failure_is_retried_without_any_request_before_it() -> None:
    budget = RetryBudget()
    assert budget.available(0.0) == 100.0
    assert budget.try_spend(0.0)


def test_a_storm_of_retries_ends_at_the_budget() -> None:
    budget = RetryBudget()
    for _ in range(1000):
        budget.record_request(5.0)
    granted = sum(budget.try_spend(5.0) for _ in range(1000))
    assert granted == 300
    assert (budget.spent, budget.refused) == (300, 700)
    assert budget.available(5.0) == 0.0


def test_what_was_spent_comes_back_when_the_window_has_passed() -> None:
    budget = RetryBudget(0.0, 1.0)
    assert sum(budget.try_spend(0.5) for _ in range(20)) == 10
    assert not budget.try_spend(9.9)
    assert budget.available(10.0) == 10.0


def test_a_request_at_the_very_beginning_of_a_slot_counts_until_the_end_of_its_window() -> None:
    budget = RetryBudget(1.0, 0.0)
    budget.record_request(1.0)
    assert budget.available(10.5) == 1.0
    assert budget.available(11.0) == 0.0


def test_requests_that_leave_the_window_never_make_the_rest_negative() -> None:
    budget = RetryBudget(0.5, 0.0)
    for _ in range(10):
        budget.record_request(0.0)
    assert sum(budget.try_spend(9.0) for _ in range(10)) == 5
    assert budget.available(10.0) == 0.0


@pytest.mark.parametrize("window_s", [0.7, 3.0, 10.0, 0.1])
def test_any_window_slides(window_s: float) -> None:
    budget = RetryBudget(1.0, 0.0, window_s)
    for number in range(200):
        now = number * window_s / 20
        budget.record_request(now)
        # Between nine and ten slots of two requests each.
        assert min(number + 1, 18) <= budget.available(now) <= 21


def test_its_statistics_tell_what_is_left() -> None:
    budget = RetryBudget(0.5, 0.0, 10.0)
    for _ in range(4):
        budget.record_request(0.0)
    for _ in range(3):
        budget.try_spend(0.0)
    assert budget.statistics(0.0) == RetryBudgetStatistics(requests=4, spent=2, refused=1, available=0.0)
    assert budget.statistics(1000.0).available == 0.0
