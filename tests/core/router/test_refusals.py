"""What a router remembers of a call that was refused or moved."""

import pytest

from ringserve.core.breaker import BreakerState
from ringserve.core.router.settings import RouterSettings
from ringserve.errors import Draining, PoisonSuspected, QueueFull, TimeTooShort
from tests.core.router.rig import Rig, hello


def half_open(rig: Rig, index: int) -> None:
    """Let a worker be half-open: its breaker opens, and another process comes up."""
    rig.open_breaker(index)
    rig.up(index, hello(f"next to {rig.worker(index).incarnation}"))
    assert rig.state(index) is BreakerState.HALF_OPEN


def test_a_call_that_waited_for_a_trial_is_not_sent_again_to_a_worker_that_refused_it() -> None:
    rig = Rig(workers=2)
    refused = rig.submit_new(home=0)
    half_open(rig, 1)
    trial = rig.submit_new(home=1)
    full = TimeTooShort("it would wait too long for this one", 1.0)
    rig.refuse(refused, full)
    assert refused.errors == [], "it waits for the trial"
    rig.lose(1)
    assert refused.error is full
    assert [index for index, call in rig.ports.sent if call is refused] == [0]
    assert trial.error is None


def test_a_worker_that_was_lost_is_asked_again_where_the_only_other_one_refused() -> None:
    rig = Rig(workers=2)
    caller = rig.submit_new(home=0)
    rig.lose(0)
    rig.up(0)
    rig.refuse(caller, QueueFull("full", 1.0))
    assert [index for index, call in rig.ports.sent if call is caller] == [0, 1, 0]
    rig.finish(caller)
    assert caller.answers


@pytest.mark.parametrize("error", [QueueFull("full", 1.0), Draining("going")])
def test_the_process_that_follows_one_that_refused_may_be_asked(error: QueueFull | Draining) -> None:
    rig = Rig(workers=2)
    caller = rig.submit_new(home=0)
    rig.refuse(caller, error)
    rig.lose(0)
    rig.up(0, hello("another"))
    rig.lose(1)
    assert caller.worker == 0


def test_a_call_goes_elsewhere_rather_than_be_refused_where_too_many_wait_for_a_trial() -> None:
    rig = Rig(workers=2, settings=RouterSettings(parked_max=1))
    half_open(rig, 0)
    trial = rig.submit_new(home=0)
    waits, passed_on = rig.submit(rig.same(trial)), rig.submit(rig.same(trial))
    assert (trial.worker, waits.worker, passed_on.worker) == (0, -1, 1)


def test_a_key_that_comes_back_to_a_worker_counts_once_there() -> None:
    rig = Rig(workers=2)
    first = rig.submit_new(home=0)
    second = rig.submit(rig.same(first))
    rig.refuse(second, TimeTooShort("it would wait too long for this one", 1.0))
    third = rig.submit(rig.same(first))
    assert (first.worker, second.worker, third.worker) == (0, 1, 1)
    rig.lose(1)
    assert (second.worker, third.worker) == (-1, 0)
    assert rig.worker(0).items == 1


def test_a_key_on_two_workers_is_followed_until_the_last_of_its_calls_has_left() -> None:
    rig = Rig(workers=3)
    first = rig.submit_new(home=0)
    moved = rig.submit(rig.same(first))
    rig.refuse(moved, QueueFull("full", 1.0))
    rig.finish(moved)
    loaded = [rig.submit_new(home=0) for _ in range(20)]
    assert rig.submit(rig.same(first)).worker == first.worker == 0
    assert len({call.worker for call in loaded}) > 1, "a new key would have gone elsewhere"


def test_a_worker_that_was_lost_is_asked_again_where_the_others_are_out_of_credit() -> None:
    rig = Rig(workers=3, up=False)
    rig.up(0)
    rig.up(1)
    rig.up(2, hello(credit_items=1))
    rig.submit_new(home=2)
    caller = rig.submit_new(home=0)
    rig.lose(0)
    rig.up(0)
    rig.lose(1)
    assert [index for index, call in rig.ports.sent if call is caller] == [0, 1, 0]


def test_a_process_can_die_but_once() -> None:
    rig = Rig(workers=2)
    caller = rig.submit_new(home=0)
    rig.lose(0)
    rig.up(0)
    rig.refuse(caller, Draining("going"))
    assert caller.worker == 0
    rig.lose(0)
    rig.up(0, hello("second"))
    assert caller.suspects == ((0, "first"),)
    assert not isinstance(caller.error, PoisonSuspected)
