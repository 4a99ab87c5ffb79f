"""Every accepted request leaves once, whatever happens to links, workers and time."""

from collections.abc import Callable

import pytest

from ringserve.core.breaker import BreakerState
from ringserve.core.router.settings import RouterSettings
from ringserve.errors import (
    DeadlinePassed,
    Draining,
    ModelFailed,
    NoWorker,
    PoisonSuspected,
    QueueFull,
    ServeError,
)
from tests.core.router.rig import RESULT, Rig, hello, spec


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_an_answer_reaches_the_caller_once_and_a_second_one_is_dropped(rig: Rig) -> None:
    caller = rig.submit_new(home=0)
    number = caller.id
    rig.finish(caller)
    rig.router.answered(0, number, RESULT, False, 10, rig.now)
    rig.router.refused(0, number, ModelFailed("late"), rig.now)
    assert (len(caller.answers), caller.errors, rig.router.late) == (1, [], 2)
    rig.check()


def test_a_lost_link_is_one_failure_and_moves_everything_without_budget(rig: Rig) -> None:
    callers = [rig.submit_new(home=0) for _ in range(7)]
    while rig.router.budget.try_spend(rig.now):
        pass
    rig.lose(0)
    assert rig.worker(0).breaker.failures == 1
    assert {caller.worker for caller in callers} <= {1, 2}
    assert [caller.error for caller in callers] == [None] * 7


def test_five_lost_links_open_the_breaker_and_its_keys_go_elsewhere_until_it_closes(rig: Rig) -> None:
    rig.open_breaker(0)
    assert rig.worker(0).breaker.failures == 5
    assert rig.submit_new(home=0).worker != 0
    rig.tick_and_hear(30)
    assert rig.state(0) is BreakerState.HALF_OPEN
    for _ in range(2):
        trial = rig.submit_new(home=0)
        assert trial.worker == 0
        assert rig.submit_new(home=0).worker != 0
        rig.finish(trial)
    assert rig.state(0) is BreakerState.CLOSED


def test_a_new_process_gets_its_trial_at_once(rig: Rig) -> None:
    rig.open_breaker(0)
    rig.lose(0)
    rig.up(0, hello("second"))
    assert rig.state(0) is BreakerState.HALF_OPEN


def test_going_away_is_no_failure_and_what_the_worker_has_it_may_answer(rig: Rig) -> None:
    caller = rig.submit_new(home=0)
    rig.router.going_away(0, rig.now)
    assert rig.ports.goodbyes == []
    assert rig.submit_new(home=0).worker != 0
    rig.finish(caller)
    assert rig.ports.goodbyes == [0]
    rig.lose(0)
    rig.router.connect_failed(0, rig.now, refused=True)
    assert rig.worker(0).breaker.failures == 0


@pytest.mark.parametrize("leave", ["expire", "cancel", "refuse", "hang"])
def test_a_worker_that_drains_hears_goodbye_when_its_last_call_leaves_however(rig: Rig, leave: str) -> None:
    caller = rig.submit_new(home=0, timeout_s=0.5)
    rig.router.going_away(0, rig.now)
    ways: dict[str, Callable[[], None]] = {
        "expire": lambda: rig.tick(1.0),
        "cancel": lambda: rig.router.cancel(caller, rig.now),
        "refuse": lambda: rig.refuse(caller, Draining("going")),
        "hang": lambda: rig.router.pong(0, 99.0, 0.0, 0, rig.now),
    }
    ways[leave]()
    assert rig.ports.goodbyes == [0]
    rig.check()


def test_a_hang_strands_its_calls_elsewhere_and_its_late_answer_is_dropped(rig: Rig) -> None:
    caller = rig.submit_new(home=0)
    number = caller.id
    rig.router.pong(0, 2.1, 0.1, 0, rig.now)
    assert caller.worker != 0
    assert rig.ports.cancelled == [(0, number)]
    assert rig.worker(0).breaker.failures == 1
    rig.router.answered(0, number, RESULT, False, 10, rig.now)
    assert (caller.answers, rig.router.late) == ([], 1)
    rig.finish(caller)
    assert len(caller.answers) == 1


def test_a_hung_worker_gets_nothing_until_a_sign_that_its_engine_moves(rig: Rig) -> None:
    rig.router.pong(0, 2.1, 0.1, 0, rig.now)
    assert rig.submit_new(home=0).worker != 0
    rig.router.pong(0, 0.0, 0.1, 1, rig.now)
    assert rig.submit_new(home=0).worker == 0


def test_a_long_run_of_a_slow_model_is_no_hang(rig: Rig) -> None:
    caller = rig.submit_new(home=0)
    rig.router.pong(0, 40.0, 5.0, 0, rig.now)
    assert caller.worker == 0


def test_a_silent_link_is_given_up_and_that_is_no_death(rig: Rig) -> None:
    caller = rig.submit_new(home=0)
    rig.tick(3.0)
    assert sorted(rig.ports.disconnected) == [0, 1, 2]
    assert set(rig.ports.pinged) == {0, 1, 2}
    assert caller.suspects == ()


def test_our_own_sleep_is_not_taken_for_a_silent_link(rig: Rig) -> None:
    rig.tick(0.5)
    rig.now += 60.0
    rig.router.tick(rig.now)
    assert rig.ports.disconnected == []


def test_a_request_that_two_workers_died_with_goes_to_no_third(rig: Rig) -> None:
    caller = rig.submit_new(home=0)
    for _ in range(2):
        index = caller.worker
        rig.lose(index)
        rig.router.connect_failed(index, rig.now, refused=True)
    assert isinstance(caller.error, PoisonSuspected)
    assert caller.error.status == 500
    assert len(rig.ports.sent) == 2
    rig.check()


def test_a_new_incarnation_proves_a_death_as_well(rig: Rig) -> None:
    caller = rig.submit_new(home=0)
    for _ in range(2):
        index = caller.worker
        rig.lose(index)
        rig.up(index, hello("second"))
    assert isinstance(caller.error, PoisonSuspected)


def test_cut_links_are_no_deaths_however_many(rig: Rig) -> None:
    caller = rig.submit_new(home=0)
    for _ in range(6):
        index = caller.worker
        rig.lose(index)
        rig.up(index)
        assert caller.error is None
        assert caller.worker >= 0
    rig.finish(caller)
    assert len(caller.answers) == 1


def test_in_doubt_about_two_deaths_a_request_waits_and_then_is_given_up(rig: Rig) -> None:
    caller = rig.submit_new(home=0)
    rig.lose(0)
    rig.lose(caller.worker)
    assert (caller.worker, rig.router.pending) == (-1, 1)
    rig.tick(0.9)
    assert caller.error is None
    rig.tick(0.5)
    assert isinstance(caller.error, PoisonSuspected)


def test_a_verdict_of_life_sends_a_held_request_on(rig: Rig) -> None:
    caller = rig.submit_new(home=0)
    rig.lose(0)
    rig.lose(caller.worker)
    rig.up(0)
    assert caller.worker >= 0


def test_a_refusal_is_repeated_elsewhere_while_the_budget_lasts(rig: Rig) -> None:
    caller = rig.submit_new(home=0)
    rig.refuse(caller, QueueFull("full"))
    assert caller.worker != 0
    assert rig.router.budget.spent == 1
    while rig.router.budget.try_spend(rig.now):
        pass
    rig.refuse(caller, QueueFull("full too"))
    assert isinstance(caller.error, QueueFull)


def test_the_refusal_of_a_draining_worker_draws_on_no_budget(rig: Rig) -> None:
    while rig.router.budget.try_spend(rig.now):
        pass
    spent = rig.router.budget.spent
    caller = rig.submit_new(home=0)
    rig.refuse(caller, Draining("going"))
    assert caller.worker > 0
    assert rig.router.budget.spent == spent
    assert rig.worker(0).breaker.failures == 0


def test_when_all_refused_the_caller_reads_the_last_refusal(rig: Rig) -> None:
    caller = rig.submit_new(home=0)
    for sentence in ("one", "two", "three"):
        rig.refuse(caller, QueueFull(sentence))
    assert isinstance(caller.error, QueueFull)
    assert caller.error.message == "three"
    assert len(rig.ports.sent) == 3


def test_an_error_of_the_model_is_passed_on_and_is_no_failure_of_the_worker(rig: Rig) -> None:
    caller = rig.submit_new(home=0)
    rig.refuse(caller, ModelFailed("bad input"))
    assert isinstance(caller.error, ModelFailed)
    assert rig.worker(0).breaker.failures == 0


def half_open_alone() -> Rig:
    """One worker, come back as a new process behind an open breaker."""
    rig = Rig(workers=1)
    rig.open_breaker(0)
    rig.lose(0)
    rig.up(0, hello("second"))
    return rig


def test_requests_wait_for_the_trial_where_no_other_worker_is_able() -> None:
    rig = half_open_alone()
    trial, second, third = (rig.submit_new() for _ in range(3))
    assert [caller.worker for caller in (trial, second, third)] == [0, -1, -1]
    rig.finish(trial)
    assert [second.worker, third.worker] == [0, -1]
    rig.finish(second)
    assert third.worker == 0


def test_a_cancelled_trial_lets_the_next_one_go() -> None:
    rig = half_open_alone()
    trial, second = rig.submit_new(), rig.submit_new()
    rig.router.cancel(trial, rig.now)
    assert second.worker == 0
    assert rig.ports.cancelled == [(0, trial.id)]
    rig.check()


def test_a_failed_trial_fails_those_who_waited_for_it() -> None:
    rig = half_open_alone()
    waiting = [rig.submit_new(), rig.submit_new()]
    rig.lose(0)
    assert all(isinstance(caller.error, NoWorker) for caller in waiting)


def test_those_who_wait_for_a_trial_are_bounded_and_expire() -> None:
    rig = Rig(workers=1, settings=RouterSettings(parked_max=1))
    rig.open_breaker(0)
    rig.lose(0)
    rig.up(0, hello("second"))
    rig.submit_new()
    waiting, one_too_many = rig.submit_new(timeout_s=0.5), rig.submit_new()
    assert isinstance(one_too_many.error, QueueFull)
    rig.tick(1.0)
    assert isinstance(waiting.error, DeadlinePassed)


def test_when_all_breakers_are_open_the_caller_is_told_when_to_come_again(rig: Rig) -> None:
    for index in range(3):
        rig.open_breaker(index)
    error = rig.submit_new().error
    assert isinstance(error, NoWorker)
    assert error.status == 503
    assert error.retry_after_s is not None
    assert 1.0 <= error.retry_after_s <= 30.0


def test_without_any_link_the_caller_is_told_so() -> None:
    error = Rig(up=False).submit_new().error
    assert isinstance(error, NoWorker)
    assert "no worker is connected" in error.message


def test_a_request_out_of_time_gets_504_and_the_worker_is_told(rig: Rig) -> None:
    caller = rig.submit_new(home=0, timeout_s=0.25)
    number = caller.id
    rig.tick(0.5)
    assert isinstance(caller.error, DeadlinePassed)
    assert caller.error.status == 504
    assert rig.ports.cancelled == [(0, number)]
    assert rig.worker(0).breaker.failures == 0


def test_a_cancelled_call_is_finished_and_cancelling_again_is_no_error(rig: Rig) -> None:
    caller = rig.submit_new(home=0)
    for _ in range(2):
        rig.router.cancel(caller, rig.now)
        rig.check()
    assert (rig.router.finished, caller.error) == (1, None)


def test_a_held_call_may_be_cancelled(rig: Rig) -> None:
    caller = rig.submit_new(home=0)
    rig.lose(0)
    rig.lose(caller.worker)
    rig.router.cancel(caller, rig.now)
    assert (rig.router.pending, rig.router.finished) == (0, 1)


def test_at_the_end_of_a_drain_every_call_fails_wherever_it_is() -> None:
    rig = half_open_alone()
    callers = [rig.submit_new(), rig.submit_new()]
    rig.router.fail_all(Draining("the end"), rig.now)
    assert all(isinstance(caller.error, Draining) for caller in callers)
    rig.check()


def test_a_worker_with_another_model_gets_no_requests(rig: Rig) -> None:
    rig.lose(2)
    rig.up(2, hello(model=spec("other")))
    assert rig.submit_new(home=2).worker != 2
    assert rig.ports.said[-1] == (
        "worker 10.0.0.2:8001 has another file of model toy version 1 than most: it gets no requests for it"
    )


def test_numbers_on_the_link_wrap_around_and_are_never_0(rig: Rig) -> None:
    rig.router._last_id = 0x7FFFFFFE
    assert [rig.submit_new().id for _ in range(3)] == [0x7FFFFFFF, 0x80000000, 1]


@pytest.mark.parametrize("error", [QueueFull("full"), Draining("going"), ModelFailed("bad")])
def test_a_lone_worker_is_not_asked_twice_after_it_refused(error: ServeError) -> None:
    rig = Rig(workers=1)
    caller = rig.submit_new()
    rig.refuse(caller, error)
    assert caller.error is not None
    assert len(rig.ports.sent) == 1
