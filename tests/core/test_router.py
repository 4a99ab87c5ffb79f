"""The router against callers and links that are plain lists."""

from __future__ import annotations

import pytest

from ringserve.core.breaker import BreakerState
from ringserve.core.router.brain import Router
from ringserve.core.router.settings import RouterSettings
from ringserve.core.router.worker_state import Hello, Offer
from ringserve.core.signature import Result, ResultLayout
from ringserve.core.tensor import ModelSpec
from ringserve.errors import (
    DeadlinePassed,
    Draining,
    ModelFailed,
    NoWorker,
    PoisonSuspected,
    QueueFull,
    ServeError,
    TimeTooShort,
)
from tests.core.calls import Noted, noted

RESULT = Result(ResultLayout(()), b"")


def spec(digest: str = "d", max_batch: int = 32) -> ModelSpec:
    return ModelSpec("m", "1", digest, (), (), True, max_batch, True, "cpu")


def offers(digest: str = "d") -> tuple[Offer, ...]:
    return (Offer(1, spec(digest), default=True),)


class Outside:
    """The router's ports: what was asked of each, in order."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, Noted]] = []
        self.asked: list[tuple[str, int]] = []
        self.said: list[str] = []

    def send(self, worker: int, call: object) -> None:
        assert isinstance(call, Noted)
        self.sent.append((worker, call))

    def cancel_on(self, worker: int, call_id: int) -> None:
        self.asked.append(("cancel", worker))

    def ping(self, worker: int) -> None:
        self.asked.append(("ping", worker))

    def disconnect(self, worker: int) -> None:
        self.asked.append(("disconnect", worker))

    def goodbye(self, worker: int) -> None:
        self.asked.append(("goodbye", worker))

    def say(self, sentence: str) -> None:
        self.said.append(sentence)


class Rig:
    """A router with its outside; after each event the books must balance."""

    def __init__(self, workers: int = 3, *, up: bool = True, credit: int = 1000, **settings: float) -> None:
        self.outside = Outside()
        names = [f"host:{8001 + number}" for number in range(workers)]
        self.router = Router(names, RouterSettings(**settings), self.outside)  # type: ignore[arg-type]
        self.credit = credit
        if up:
            for index in range(workers):
                self.greet(index)

    def greet(self, index: int, incarnation: str = "", digest: str = "d", now: float = 0.0) -> None:
        name = incarnation or f"i{index}"
        hello = Hello(f"w{index}", name, offers(digest), self.credit, 1 << 20)
        self.router.link_up(index, hello, now)

    def ask(self, value: int = 1, now: float = 0.0, deadline: float = 1e9) -> Noted:
        call = noted(value, now, deadline)
        self.router.submit(call, now)
        self.check()
        return call

    def answer(self, call: Noted, now: float = 0.0) -> None:
        self.router.answered(call.worker, call.id, RESULT, False, 5, now)
        self.check()

    def check(self) -> None:
        assert self.router.accepted == self.router.finished + self.router.pending

    def home(self, value: int) -> int:
        return self.router.models.ring.owner(noted(value).key)


def error_of(call: Noted) -> ServeError:
    (outcome,) = call.outcomes
    assert isinstance(outcome, ServeError)
    return outcome


def test_a_key_goes_home_and_its_answer_back() -> None:
    rig = Rig()
    for value in range(50):
        call = rig.ask(value)
        assert call.worker == rig.home(value)
        rig.answer(call)
        assert call.outcomes == [(RESULT, False)]
    assert rig.router.models.flights() == 0
    assert all(worker.load == worker.items_out == 0 for worker in rig.router.workers)


def test_load_spills_only_above_the_bound_and_equal_keys_follow() -> None:
    rig = Rig()
    values = [value for value in range(2000) if rig.home(value) == 0][:100]
    calls = [rig.ask(value) for value in values]
    assert [call.worker for call in calls[:32]] == [0] * 32
    assert {call.worker for call in calls} == {0, 1, 2}
    assert rig.router.workers[0].spilled > 0
    spilled = next(call for call in calls if call.worker != 0)
    again = rig.ask(int.from_bytes(spilled.key, "big"))
    assert again.worker == spilled.worker
    for call in [*calls, again]:
        rig.answer(call)
    assert all(worker.load == 0 for worker in rig.router.workers)


def test_a_reported_depth_counts_as_load() -> None:
    rig = Rig()
    value = next(value for value in range(99) if rig.home(value) == 0)
    rig.router.depth(0, 500)
    assert rig.ask(value).worker != 0
    rig.router.depth(0, 0)
    assert rig.ask(value + 100_000).worker == rig.home(value + 100_000)


def test_a_lost_link_is_one_failure_and_everything_moves_on() -> None:
    rig = Rig()
    calls = [rig.ask(value) for value in range(20)]
    victim = calls[0].worker
    stranded = [call for call in calls if call.worker == victim]
    rig.router.link_lost(victim, 1.0)
    assert rig.router.workers[victim].breaker.failures == 1
    assert all(call.worker not in {victim, -1} for call in stranded)
    for call in calls:
        rig.answer(call, 1.0)
    rig.router.answered(victim, 1, RESULT, False, 5, 1.0)
    rig.router.refused(victim, 1, ModelFailed("late"), 1.0)
    assert rig.router.late == 2
    assert all(len(call.outcomes) == 1 for call in calls)


def test_going_away_is_no_failure_and_ends_with_a_goodbye() -> None:
    rig = Rig()
    call = rig.ask()
    leaver = call.worker
    rig.router.going_away(leaver, 0.0)
    assert rig.router.workers[leaver].link_state == "going away"
    assert ("goodbye", leaver) not in rig.outside.asked
    assert rig.ask().worker != leaver
    rig.answer(call)
    assert ("goodbye", leaver) in rig.outside.asked
    rig.router.link_lost(leaver, 0.0)
    rig.router.connect_failed(leaver, 0.1, refused=True)
    assert rig.router.workers[leaver].breaker.failures == 0
    idle = next(index for index in range(3) if index != leaver and not rig.router.workers[index].in_flight)
    rig.router.going_away(idle, 0.0)
    assert ("goodbye", idle) in rig.outside.asked


def test_two_deaths_condemn_and_cut_links_do_not() -> None:
    for died in (True, False):
        rig = Rig()
        call = rig.ask()
        first = call.worker
        rig.router.link_lost(first, 0.0)
        second = call.worker
        assert second != first
        rig.router.link_lost(second, 0.0)
        assert call.worker == -1
        assert rig.router.pending == 1
        for index in (first, second):
            if died:
                rig.router.connect_failed(index, 0.1, refused=True)
            else:
                rig.greet(index, now=0.1)
        if died:
            assert isinstance(error_of(call), PoisonSuspected)
        else:
            rig.answer(call, 0.2)
            assert call.outcomes == [(RESULT, False)]
        rig.check()


def test_a_doubt_that_nobody_resolves_counts_as_a_death() -> None:
    rig = Rig()
    call = rig.ask()
    rig.router.link_lost(call.worker, 0.0)
    rig.router.link_lost(call.worker, 0.0)
    rig.router.tick(0.5)
    assert call.outcomes == []
    rig.router.tick(1.1)
    assert isinstance(error_of(call), PoisonSuspected)


def test_a_hung_run_moves_its_requests_and_the_worker_gets_none_until_it_ends() -> None:
    rig = Rig()
    call = rig.ask()
    victim = call.worker
    rig.router.pong(victim, 1.9, 0.01, 0, 2.0)
    assert call.worker == victim
    rig.router.pong(victim, 2.1, 0.01, 0, 2.2)
    assert call.worker != victim
    assert ("cancel", victim) in rig.outside.asked
    assert rig.router.workers[victim].breaker.failures == 1
    assert rig.ask().worker != victim
    rig.router.pong(victim, 0.0, 0.01, 1, 3.0)
    assert rig.router.workers[victim].able


def test_an_honest_slow_model_is_not_hung() -> None:
    rig = Rig()
    call = rig.ask()
    rig.router.pong(call.worker, 6.0, 5.0, 0, 6.0)
    assert rig.outside.said == []


def test_a_refusal_goes_elsewhere_within_the_budget_and_a_models_failure_does_not() -> None:
    rig = Rig()
    call = rig.ask()
    first = call.worker
    rig.router.refused(first, call.id, TimeTooShort("late", 1.0), 0.0)
    assert call.worker not in {first, -1}
    rig.router.refused(call.worker, call.id, TimeTooShort("late", 1.0), 0.0)
    rig.router.refused(call.worker, call.id, TimeTooShort("late", 1.0), 0.0)
    assert isinstance(error_of(call), TimeTooShort)
    failed = rig.ask(7)
    rig.router.refused(failed.worker, failed.id, ModelFailed("no"), 0.0)
    assert isinstance(error_of(failed), ModelFailed)
    assert all(worker.breaker.failures == 0 for worker in rig.router.workers)
    rig.check()


def test_a_draining_worker_that_refuses_costs_no_budget() -> None:
    rig = Rig()
    while rig.router.budget.try_spend(0.0):
        pass
    call = rig.ask()
    first = call.worker
    rig.router.refused(first, call.id, Draining("bye"), 0.0)
    assert call.worker not in {first, -1}
    refused = rig.ask(9)
    rig.router.refused(refused.worker, refused.id, QueueFull("full"), 0.0)
    assert isinstance(error_of(refused), QueueFull)


def test_without_credit_anywhere_the_caller_is_told_to_come_later() -> None:
    rig = Rig(1, credit=1)
    first, second = rig.ask(1), rig.ask(2)
    assert isinstance(error_of(second), QueueFull)
    rig.answer(first)
    assert rig.ask(3).worker == 0


def test_no_worker_is_a_503_that_says_when_to_come_again() -> None:
    rig = Rig(up=False)
    error = error_of(rig.ask())
    assert isinstance(error, NoWorker)
    assert error.retry_after_s == 1.0
    rig.greet(0)
    assert rig.ask().worker == 0


def open_breaker(rig: Rig, index: int, now: float) -> None:
    for _ in range(5):
        rig.router.link_lost(index, now)
        rig.greet(index, now=now)
    assert rig.router.workers[index].breaker.state_at(now) is BreakerState.OPEN


def test_an_open_breaker_gets_nothing_and_a_trial_at_a_time_closes_it() -> None:
    rig = Rig(1)
    open_breaker(rig, 0, 0.0)
    error = error_of(rig.ask(now=1.0))
    assert isinstance(error, NoWorker)
    assert error.retry_after_s == pytest.approx(29.0)
    trial, waiting, leaver = rig.ask(1, now=31.0), rig.ask(2, now=31.0), rig.ask(3, now=31.0)
    assert (trial.worker, waiting.worker) == (0, -1)
    rig.router.cancel(leaver, 31.0)
    same = rig.ask(1, now=31.0)
    assert same.worker == -1
    rig.answer(trial, 31.1)
    assert waiting.worker == 0
    rig.answer(waiting, 31.2)
    assert rig.router.workers[0].breaker.state_at(31.2) is BreakerState.CLOSED
    assert same.worker == 0
    rig.answer(same, 31.3)
    rig.check()


def test_a_new_process_is_tried_at_once() -> None:
    rig = Rig(1)
    open_breaker(rig, 0, 0.0)
    rig.router.link_lost(0, 1.0)
    rig.greet(0, "another", now=1.1)
    assert rig.router.workers[0].breaker.state_at(1.1) is BreakerState.HALF_OPEN
    assert rig.ask(now=1.2).worker == 0


def test_the_waiting_for_a_trial_is_bounded() -> None:
    rig = Rig(1, parked_max=1)
    open_breaker(rig, 0, 0.0)
    trial, parked, refused = rig.ask(1, now=31.0), rig.ask(2, now=31.0), rig.ask(3, now=31.0)
    assert isinstance(error_of(refused), QueueFull)
    rig.router.fail_all(Draining("stop"), 31.0)
    assert isinstance(error_of(trial), Draining)
    assert isinstance(error_of(parked), Draining)
    assert rig.router.pending == 0


def test_a_deadline_is_answered_with_504_and_the_worker_told() -> None:
    rig = Rig()
    call = rig.ask(deadline=1.0)
    assert rig.router.next_wake(0.9) <= 1.0
    rig.router.tick(1.1)
    assert isinstance(error_of(call), DeadlinePassed)
    assert rig.outside.asked[0][0] == "cancel"
    rig.check()


def test_a_caller_who_leaves_is_forgotten_once() -> None:
    rig = Rig()
    call = rig.ask()
    rig.router.going_away(call.worker, 0.0)
    rig.router.cancel(call, 0.0)
    rig.router.cancel(call, 0.0)
    assert [what for what, _worker in rig.outside.asked] == ["cancel", "goodbye"]
    assert call.outcomes == []
    rig.check()


def test_a_silent_link_is_given_up_but_not_when_we_slept() -> None:
    rig = Rig()
    call = rig.ask()
    victim = call.worker
    now = 0.0
    while now < 3.0:
        now += 0.25
        for index in range(3):
            if index != victim:
                rig.router.heard(index, now)
        rig.router.tick(now)
    assert call.worker not in {victim, -1}
    assert [ask for ask in rig.outside.asked if ask[0] == "disconnect"] == [("disconnect", victim)]
    assert call.suspects == ()
    rig.router.tick(60.0)
    assert sum(worker.link_up for worker in rig.router.workers) == 2


def test_a_worker_with_another_model_gets_no_requests_until_most_have_it() -> None:
    rig = Rig(up=False)
    rig.greet(0)
    rig.greet(1, digest="new")
    assert {rig.ask(value).worker for value in range(20)} == {0}
    rig.greet(2, digest="new")
    assert {rig.ask(value).worker for value in range(20, 40)} <= {1, 2}
    (offer,) = rig.router.models.offers()
    assert offer.spec.digest == "new"
    assert len(rig.outside.said) == 2


def test_a_workers_own_limit_for_a_run_counts() -> None:
    rig = Rig(1, up=False)
    rig.router.link_up(0, Hello("w", "i", offers(), 10, 10, run_timeout_s=0.5), 0.0)
    assert rig.router.workers[0].run_limit_s(3.0, 2.0) == 0.5
    assert rig.router.workers[0].link_state == "up"


def test_a_second_worker_of_the_same_name_is_told_of_once_a_greeting() -> None:
    rig = Rig(up=False)
    for index in (0, 1):
        rig.router.link_up(index, Hello("same", f"i{index}", offers(), 10, 1 << 20), 0.0)
    (sentence,) = rig.outside.said
    assert "both named 'same'" in sentence
