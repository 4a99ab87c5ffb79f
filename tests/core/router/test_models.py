"""Requests go only to workers that have their model, one file of each name and version, and none is lost."""

from __future__ import annotations

import pytest

from ringserve.core.router.failover import REROUTES_MAX
from ringserve.core.router.worker_state import Unready
from ringserve.errors import ModelGone, NotFound, NotReady, NoWorker, TimeTooShort
from tests.core.router.rig import Caller, Rig, hello, offers, spec

A, B = spec("a", name="a"), spec("b", name="b")
OLD, NEW = spec("old"), spec("new", version="2")
GONE = ModelGone("the worker has no model of number 1 any more")


def rig_of(*fleet: tuple[object, ...]) -> Rig:
    """A router of workers with these models."""
    rig = Rig(len(fleet), up=False)
    for index, models in enumerate(fleet):
        rig.up(index, hello(models=models))  # type: ignore[arg-type]
    return rig


def workers_of(rig: Rig, model: str, version: str = "", count: int = 30) -> set[int]:
    """Where requests of new keys for a model go."""
    return {rig.submit_new(model=model, version=version).worker for _ in range(count)}


def test_a_models_requests_go_only_to_workers_that_have_it_under_the_workers_own_number() -> None:
    rig = rig_of((A,), (A, B), (B,))
    assert workers_of(rig, "a") == {0, 1}
    assert workers_of(rig, "b") == {1, 2}
    numbers = {(worker, call.signature.model): call.model_number for worker, call in rig.ports.sent}
    assert numbers == {(0, "a"): 1, (1, "a"): 1, (1, "b"): 2, (2, "b"): 1}


def homes(rig: Rig, callers: list[Caller]) -> dict[bytes, int]:
    """Where these requests go when each is alone."""
    found = {}
    for caller in callers:
        again = rig.submit(rig.same(caller))
        found[bytes(caller.key)] = again.worker
        rig.finish(again)
    return found


def test_losing_a_worker_moves_only_the_keys_of_the_models_it_had() -> None:
    rig = rig_of((A,), (A, B), (B,), (B,))
    callers = [rig.caller(model="b") for _ in range(60)]
    before = homes(rig, callers)
    rig.lose(0)
    assert homes(rig, callers) == before


def test_a_worker_whose_link_is_down_keeps_its_place() -> None:
    rig = rig_of((A,), (A,), (A,))
    callers = [rig.caller(model="a") for _ in range(60)]
    before = homes(rig, callers)
    rig.lose(1)
    away = homes(rig, callers)
    assert {key for key in before if before[key] != away[key]} == {key for key in before if before[key] == 1}
    rig.up(1, hello("second", models=(A,)))
    assert homes(rig, callers) == before


def test_equal_keys_of_two_files_do_not_follow_each_other() -> None:
    """One key, and in the middle of a roll-out two files that it may mean one after the other."""
    rig = rig_of((OLD,), (OLD,))
    first = rig.submit_new(home=0, version="")
    rig.has_now(0, NEW, first=2)
    rig.has_now(1, NEW, first=2)
    second = rig.submit(rig.same(first))
    assert (first.model_number, second.model_number) == (1, 2)
    assert rig.worker(0).items == 2
    assert first.key_flight is not second.key_flight


@pytest.mark.parametrize(
    ("fleet", "version", "served"),
    [
        (((OLD,), (NEW,), (NEW,)), "", {1, 2}),
        (((OLD,), (OLD, NEW), (OLD,)), "", {0, 1, 2}),
        (((OLD,), (OLD, NEW), (OLD,)), "2", {1}),
        (((OLD,), (OLD, NEW), (NEW,)), "1", {0, 1}),
    ],
)
def test_the_version_that_most_take_serves_requests_that_name_none(
    fleet: tuple[tuple[object, ...], ...], version: str, served: set[int]
) -> None:
    assert workers_of(rig_of(*fleet), "toy", version) == served


def test_a_draw_changes_nothing() -> None:
    rig = rig_of((OLD,), (OLD,))
    rig.has_now(1, NEW, first=2)
    assert workers_of(rig, "toy") == {0}
    rig.has_now(0, NEW, first=2)
    rig.has_now(1, OLD, first=3)
    assert workers_of(rig, "toy") == {0}  # for a moment all had the new one


def test_a_worker_that_goes_away_has_no_vote() -> None:
    rig = rig_of((OLD,), (OLD,), (NEW,))
    rig.router.going_away(0, rig.now)
    rig.router.going_away(1, rig.now)
    assert workers_of(rig, "toy") == {2}


def test_another_file_of_a_name_and_version_is_told_of_once_and_gets_no_requests() -> None:
    rig = rig_of((spec("x"),), (spec("x"),), (spec("y"), A))
    assert workers_of(rig, "toy") == {0, 1}
    rig.has_now(2, spec("y"), A)
    told = [sentence for sentence in rig.ports.said if "another file" in sentence]
    assert told == [
        "worker 10.0.0.2:8001 has another file of model toy version 1 than most: it gets no requests for it"
    ]
    assert workers_of(rig, "a") == {2}
    assert rig.router.statistics(rig.now).workers[2].link == "up"


def test_load_is_compared_among_the_workers_that_have_the_model() -> None:
    rig = rig_of((A,), (A, B), (B,))
    for index, depth in enumerate((9, 9, 100)):
        rig.router.depth(index, depth)
    assert workers_of(rig, "a", count=40) == {0, 1}
    rig.router.depth(0, 1000)
    assert {rig.submit_new(model="a").worker for _ in range(20)} == {1}


def test_a_call_that_finds_its_model_gone_takes_the_new_version_on_the_same_worker_for_free() -> None:
    rig = rig_of((OLD,))
    rig.router.budget.refused = 0
    caller = rig.submit_new(version="")
    rig.has_now(0, NEW, first=2)
    rig.refuse(caller, GONE)
    assert (caller.worker, caller.model_number, caller.tried) == (0, 2, ())
    assert caller.versions == ["2"]
    rig.finish(caller)
    assert len(caller.answers) == 1
    assert rig.router.statistics(rig.now).budget.spent == 0


def test_a_key_in_flight_is_not_followed_to_a_worker_that_has_its_model_no_more() -> None:
    rig = rig_of((OLD,), (OLD,), (OLD,))
    first = rig.submit_new(home=0)
    rig.lose(0)
    rig.up(0, hello("second", models=(OLD,)))  # the key is with another worker now
    place = first.worker
    rig.has_now(place, A, first=2)
    second = rig.submit(rig.same(first))
    assert second.worker == 0
    assert rig.worker(place).items == 1
    for caller in (first, second):
        rig.finish(caller)
    assert rig.router.models.flights() == 0
    assert rig.worker(place).items == 0


def test_a_key_that_was_moved_is_followed_to_the_worker_that_still_has_its_model() -> None:
    rig = rig_of((OLD,), (OLD,), (OLD,))
    first = rig.submit_new(home=0)
    second = rig.submit(rig.same(first))
    rig.refuse(second, TimeTooShort("it would wait too long for this one", 1.0))
    assert (first.worker, second.worker != 0) == (0, True)
    rig.has_now(second.worker, A, first=2)
    assert rig.submit(rig.same(first)).worker == 0


def test_when_a_moved_key_is_done_it_is_not_followed_back_to_a_worker_that_has_its_model_no_more() -> None:
    rig = rig_of((OLD,), (OLD,), (OLD,))
    first = rig.submit_new(home=0)
    second = rig.submit(rig.same(first))
    rig.refuse(second, TimeTooShort("it would wait too long for this one", 1.0))
    rig.has_now(0, A, first=2)
    rig.finish(second)
    assert rig.submit(rig.same(first)).worker != 0


def test_a_key_whose_calls_left_a_worker_before_it_lost_the_model_is_nowhere() -> None:
    rig = rig_of((OLD,), (OLD,), (OLD,))
    first = rig.submit_new(home=0)
    second = rig.submit(rig.same(first))
    rig.refuse(second, TimeTooShort("it would wait too long for this one", 1.0))
    rig.finish(first)
    rig.has_now(second.worker, A, first=2)
    assert rig.router.models.flights() == 0
    rig.finish(second)


def test_a_call_whose_model_was_unloaded_everywhere_is_told_what_is_served() -> None:
    rig = rig_of((OLD, A))
    caller = rig.submit_new(version="")
    rig.has_now(0, A, first=3)
    rig.refuse(caller, GONE)
    assert isinstance(caller.error, NotFound)
    assert "'a' is served" in caller.error.message


def test_a_worker_that_says_without_end_that_an_offered_model_is_gone_is_given_up_on() -> None:
    rig = rig_of((OLD,))
    caller = rig.submit_new()
    for _ in range(REROUTES_MAX):
        rig.refuse(caller, GONE)
    assert rig.router.statistics(rig.now).budget.spent == 0
    while not caller.errors:
        rig.refuse(caller, GONE)
    assert caller.error is GONE


def test_requests_parked_for_a_trial_take_the_model_that_comes_meanwhile() -> None:
    rig = rig_of((OLD,))
    rig.open_breaker(0)
    rig.up(0, hello(models=(OLD,)))
    rig.now += 31.0
    trial, waiting = rig.submit_new(version=""), rig.submit_new(version="")
    rig.has_now(0, NEW, first=2)
    assert waiting.worker == -1
    rig.finish(trial)
    assert (waiting.worker, waiting.model_number) == (0, 2)
    assert (trial.versions, waiting.versions) == ([], ["2"])


def test_what_nobody_has_is_told_apart_from_nobody_being_there() -> None:
    rig = Rig(2, up=False)
    assert isinstance(rig.submit_new().error, NoWorker)
    rig.up(0, hello(models=()))
    error = rig.submit_new().error
    assert isinstance(error, NotFound)
    assert "there is no model 'toy' here, nor any other now" in error.message
    unready = (Unready("toy", "1", "LOADING", ""),)
    rig.router.models_changed(0, (), unready, rig.now)
    assert isinstance(rig.submit_new().error, NotReady)
    assert rig.router.models.unready() == list(unready)
    rig.lose(0)
    assert isinstance(rig.submit_new().error, NoWorker)
    assert rig.router.models.unready() == []


def test_a_worker_without_any_model_is_well_and_gets_nothing() -> None:
    rig = rig_of((), (A,))
    assert workers_of(rig, "a") == {1}
    assert rig.worker(0).able


def test_what_one_worker_has_not_ready_is_no_matter_where_another_serves_it() -> None:
    rig = rig_of((OLD,), (OLD,))
    rig.router.models_changed(1, (), (Unready("toy", "1", "LOADING", ""),), rig.now)
    assert rig.router.models.unready() == []
    assert workers_of(rig, "toy") == {0}


def test_what_is_offered_shows_the_default_version_of_each_name() -> None:
    rig = rig_of((OLD, NEW, A), (OLD, NEW))
    shown = {(one.spec.name, one.spec.version): one.default for one in rig.router.models.offers()}
    assert shown == {("toy", "1"): False, ("toy", "2"): True, ("a", "1"): True}


def test_an_instance_is_forgotten_when_nobody_has_it_and_its_last_call_ended() -> None:
    rig = rig_of((OLD, A))
    caller = rig.submit_new()
    rig.has_now(0, A)
    assert rig.router.models.flights() == 1
    rig.finish(caller)
    rig.has_now(0, A)
    assert [one.spec.name for one in rig.router.models.instances()] == ["a"]


def test_the_signatures_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ringserve.core.router.models.KNOWN_MAX", 3)
    rig = rig_of((OLD,))
    for rows in range(1, 9):
        rig.submit_new(rows=rows)
        assert len(rig.router.models.places) <= 3


def test_a_ring_is_made_once_for_all_models_of_the_same_workers() -> None:
    rig = rig_of((A, B), (A, B), ())
    for model in ("a", "b"):
        rig.submit_new(model=model)
    ring_a, ring_b = (rig.router.models.taken(name) for name in "ab")
    assert ring_a is not None
    assert ring_b is not None
    assert ring_a.ring is ring_b.ring
    rig.has_now(0, A, B, first=5)
    assert ring_a.ring is ring_b.ring
    assert [worker.index for worker in ring_a.holders()] == [0, 1]


def test_offers_of_the_rig_mark_one_default_a_name() -> None:
    assert [offer.default for offer in offers(OLD, NEW, A)] == [False, True, True]
