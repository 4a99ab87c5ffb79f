"""The door lets in what can be served in time, and says why and for how long it refuses the rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringserve.core.admission import Admission, AdmissionStatistics
from ringserve.errors import QueueFull, TimeTooShort, WaitTooLong

depths = st.integers(0, 2000)
rows = st.integers(1, 100)
seconds = st.floats(0.0, 100.0)
runs = st.lists(st.tuples(st.integers(1, 64), st.floats(1e-6, 10.0), st.booleans()), min_size=1, max_size=20)


def admission(max_queue: int = 1024, max_wait_s: float | None = 2.0, item_s: float = 0.0) -> Admission:
    door = Admission(max_queue, max_wait_s)
    door.observe_run(1, item_s)
    return door


@given(depths, rows, st.integers(0, 1024), seconds, seconds, seconds, st.floats(-10.0, 100.0))
def test_the_rule_as_the_contract_says_it(
    depth: int, rows: int, max_queue: int, max_wait_s: float, item_s: float, now: float, left_s: float
) -> None:
    door = admission(max_queue, max_wait_s, item_s)
    deadline = now + left_s
    refusal = door.check(depth, rows, now, deadline)
    wait_s = depth * item_s * 1.25
    if depth == 0:
        assert refusal is None
    elif depth + rows > max_queue:
        assert isinstance(refusal, QueueFull)
    elif wait_s > max_wait_s:
        assert isinstance(refusal, WaitTooLong)
    elif deadline > now and now + wait_s > deadline:
        assert isinstance(refusal, TimeTooShort)
    else:
        assert refusal is None
    if refusal is not None:
        assert refusal.status == 429
        assert refusal.retry_elsewhere
        assert refusal.retry_after_s is not None
        assert refusal.retry_after_s >= 1.0
    assert door.shed_full + door.shed_wait + door.shed_deadline == (refusal is not None)


@given(rows, runs, seconds, seconds)
def test_an_empty_queue_takes_anyone(
    rows: int, runs: list[tuple[int, float, bool]], now: float, left_s: float
) -> None:
    door = Admission(0, 0.0)
    for items, run_s, full in runs:
        door.observe_run(items, run_s, full=full)
    assert door.check(0, rows, now, now + left_s) is None


@given(runs)
def test_seconds_an_item_lie_between_the_quickest_and_the_slowest_run(
    runs: list[tuple[int, float, bool]],
) -> None:
    door = Admission(1024, None)
    for items, run_s, full in runs:
        door.observe_run(items, run_s, full=full)
    each = [run_s / items for items, run_s, _ in runs]
    assert min(each) * (1 - 1e-9) <= door.item_s <= max(each) * (1 + 1e-9)


def test_before_the_first_run_only_the_length_of_the_queue_counts() -> None:
    door = Admission(10, 0.0)
    assert door.check(9, 1, 0.0, 0.001) is None
    assert isinstance(door.check(10, 1, 0.0, 0.001), QueueFull)


def test_the_average_follows_a_model_that_became_slower_or_quicker() -> None:
    door = admission(item_s=0.001)
    for _ in range(30):
        door.observe_run(10, 1.0)
    assert door.item_s == pytest.approx(0.1, rel=0.01)
    for _ in range(150):
        door.observe_run(10, 0.01)
    assert door.item_s == pytest.approx(0.001, rel=0.01)


def test_runs_of_a_quiet_hour_do_not_shed_the_burst_after_it() -> None:
    # One item alone takes almost as long as a batch of 32: the burst fits into one run.
    door = admission(max_wait_s=2.0)
    door.observe_run(32, 0.64)
    for _ in range(1000):
        door.observe_run(1, 0.6, full=False)
    assert door.check(31, 1, 0.0, 30.0) is None


def test_a_run_with_room_left_still_shows_that_the_model_became_quicker() -> None:
    door = admission(item_s=0.1)
    for _ in range(150):
        door.observe_run(1, 0.001, full=False)
    assert door.item_s == pytest.approx(0.001, rel=0.01)


@pytest.mark.parametrize(("full_batch_s", "max_wait_s"), [(0.0, 2.0), (0.5, 2.0), (3.0, 12.0)])
def test_by_default_a_request_may_wait_two_seconds_or_four_full_batches(
    full_batch_s: float, max_wait_s: float
) -> None:
    door = Admission(1024, None)
    assert door.max_wait_s == 2.0
    door.full_batch_s = full_batch_s
    assert door.full_batch_s == full_batch_s
    assert door.max_wait_s == max_wait_s


def test_a_wait_that_was_given_is_not_stretched_by_a_slow_model() -> None:
    door = Admission(1024, 0.5)
    door.full_batch_s = 10.0
    assert door.max_wait_s == 0.5


def test_a_full_queue_says_so_with_its_numbers() -> None:
    door = admission(max_queue=8, max_wait_s=1000.0, item_s=0.5)
    refusal = door.check(7, 2, 0.0, 1000.0)
    assert isinstance(refusal, QueueFull)
    assert refusal.message == "the queue holds 7 of at most 8 items, no room for 2 more"
    assert refusal.retry_after_s == 3.5
    assert (door.shed_full, door.shed_wait, door.shed_deadline) == (1, 0, 0)


def test_a_wait_over_the_bound_says_both_and_when_to_come_again() -> None:
    door = admission(max_wait_s=2.0, item_s=0.5)
    refusal = door.check(10, 1, 0.0, 1000.0)
    assert isinstance(refusal, WaitTooLong)
    assert refusal.message == "the wait would be about 6250 ms, it may wait 2000 ms"
    assert refusal.retry_after_s == 4.25
    assert (door.shed_full, door.shed_wait, door.shed_deadline) == (0, 1, 0)


def test_a_wait_past_the_deadline_is_refused_at_once() -> None:
    door = admission(max_wait_s=2.0, item_s=0.1)
    refusal = door.check(10, 1, 100.0, 100.5)
    assert isinstance(refusal, TimeTooShort)
    assert refusal.message == "the wait would be about 1250 ms, the request has 500 ms left"
    assert refusal.retry_after_s == 1.0
    assert (door.shed_full, door.shed_wait, door.shed_deadline) == (0, 0, 1)


def test_a_wait_that_just_fits_is_let_in() -> None:
    door = admission(max_queue=11, max_wait_s=5.0, item_s=0.4)
    assert door.check(10, 1, 100.0, 105.0) is None


def test_a_deadline_that_has_passed_is_left_to_those_who_fail_it_as_such() -> None:
    door = admission(item_s=0.1)
    assert door.check(10, 1, 100.0, 100.0) is None
    assert door.shed_deadline == 0


def test_a_slower_run_weighs_more_than_a_quicker_one() -> None:
    slower, quicker = admission(item_s=0.1), admission(item_s=0.1)
    slower.observe_run(1, 0.11)
    quicker.observe_run(1, 0.09)
    assert slower.item_s - 0.1 > 2 * (0.1 - quicker.item_s)


def test_its_statistics_count_those_it_shed_by_reason() -> None:
    door = admission(max_queue=10, item_s=0.1)
    door.check(10, 1, 0.0, 1e9)
    door.max_wait_s = 0.5
    door.check(9, 1, 0.0, 1e9)
    door.max_wait_s = 5.0
    door.check(9, 1, 0.0, 0.2)
    assert door.statistics() == AdmissionStatistics(
        max_queue=10, max_wait_s=5.0, item_s=0.1, shed_full=1, shed_wait=1, shed_deadline=1
    )


def test_one_run_that_hung_does_not_shut_the_door() -> None:
    door = admission(max_wait_s=2.0, item_s=0.01)
    door.observe_run(1, 60.0)
    assert door.item_s == pytest.approx(0.02)
    assert door.check(50, 1, 0.0, 100.0) is None
    for _ in range(10):
        door.observe_run(1, 60.0)
    assert door.item_s > 10.0
