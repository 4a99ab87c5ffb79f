"""What a worker would refuse is refused without asking it, for a moment, and nothing else is."""

import pytest

from ringserve.core.router.fullness import KEYS_MAX, WINDOW_S, Fullness
from ringserve.errors import Draining, QueueFull, ServeError, TimeTooShort, WaitTooLong
from tests.core.router.rig import Caller, Rig, hello, spec

FULL = WaitTooLong("the wait would be about 3000 ms, it may wait 2000 ms", 1.0)


def full_house(rig: Rig, depth: int = 100) -> None:
    """Let every worker refuse a request while so many rows wait there."""
    for index in range(len(rig.router.workers)):
        rig.router.depth(index, depth)
    caller = rig.submit_new()
    while caller.error is None:
        rig.refuse(caller, FULL)


def sent(rig: Rig, caller: Caller) -> list[int]:
    """Where a request was sent, in order."""
    return [index for index, call in rig.ports.sent if call is caller]


def test_a_request_after_a_refusal_is_refused_with_its_sentence_and_travels_nowhere() -> None:
    rig = Rig()
    full_house(rig)
    caller = rig.submit_new(home=1)
    assert caller.error is FULL
    assert sent(rig, caller) == []
    assert rig.router.statistics(rig.now).workers[1].turned_away == 1


def test_a_new_key_goes_beside_a_full_home() -> None:
    rig = Rig()
    first = rig.submit_new(home=1)
    rig.refuse(first, FULL)
    second = rig.submit_new(home=1)
    assert second.error is None
    assert sent(rig, second)[0] != 1


def test_after_the_window_a_worker_is_asked_again() -> None:
    rig = Rig()
    full_house(rig)
    rig.now += WINDOW_S
    assert rig.submit_new(home=1).worker == 1


def test_in_each_window_a_worker_that_refuses_no_more_is_asked_twice_as_often() -> None:
    rig = Rig(workers=1)
    full_house(rig)
    taken = []
    for _ in range(4):
        rig.now += WINDOW_S
        taken.append(sum(rig.submit_new().error is None for _ in range(20)))
    assert taken == [1, 2, 4, 8]


def test_a_refusal_that_nobody_found_again_is_forgotten() -> None:
    rig = Rig(workers=1)
    full_house(rig)
    rig.now += 2 * WINDOW_S
    assert all(rig.submit_new().error is None for _ in range(20))

    full_house(rig)
    for _ in range(7):
        rig.now += WINDOW_S
        assert rig.submit_new().error is None
    assert all(rig.submit_new().error is None for _ in range(20))


@pytest.mark.parametrize(("depth", "taken"), [(101, 0), (100, 0), (99, 1), (88, 12), (87, 20)])
def test_a_worker_is_sent_what_its_queue_has_lost(depth: int, taken: int) -> None:
    rig = Rig(workers=1)
    full_house(rig)
    rig.router.depth(0, depth)
    assert sum(rig.submit_new().error is None for _ in range(20)) == taken


def test_room_is_counted_in_rows() -> None:
    rig = Rig(workers=1)
    full_house(rig)
    rig.router.depth(0, 95)
    assert rig.submit_new(rows=6).error is FULL
    assert rig.submit_new(rows=4).worker == 0
    assert rig.submit_new(rows=2).error is FULL
    assert rig.submit_new(rows=1).worker == 0
    assert rig.submit_new(rows=1).error is FULL


def test_a_key_in_flight_is_followed_to_a_full_worker() -> None:
    rig = Rig()
    first = rig.submit_new(home=2)
    full_house(rig)
    assert rig.submit(rig.same(first)).worker == 2


def test_a_key_whose_answer_the_worker_may_remember_is_sent_to_it() -> None:
    rig = Rig()
    before, meanwhile = rig.submit_new(home=0), rig.submit_new(home=0)
    rig.finish(before)
    full_house(rig)
    rig.finish(meanwhile)
    assert rig.submit(rig.same(before)).worker == 0
    assert rig.submit(rig.same(meanwhile)).worker == 0


def test_another_process_has_room_and_remembers_nothing() -> None:
    rig = Rig(workers=1)
    known = rig.submit_new()
    rig.finish(known)
    full_house(rig)
    rig.lose(0)
    rig.up(0)
    assert rig.submit_new().worker == 0
    full_house(rig)
    assert rig.submit(rig.same(known)).error is FULL


@pytest.mark.parametrize("error", [Draining("going"), TimeTooShort("too late for you", 1.0)])
def test_a_refusal_that_is_not_about_room_says_nothing_of_others(error: ServeError) -> None:
    rig = Rig()
    rig.refuse(rig.submit_new(home=1), error)
    assert rig.submit_new(home=1).worker == 1


def test_a_queue_without_room_for_many_rows_may_have_some_for_few() -> None:
    rig = Rig(workers=1)
    rig.refuse(rig.submit_new(rows=30), QueueFull("no room for 30 more", 1.0))
    assert isinstance(rig.submit_new(rows=31).error, QueueFull)
    assert rig.submit_new(rows=29).worker == 0


def test_another_model_of_the_same_worker_may_have_room() -> None:
    rig = Rig(workers=1, up=False)
    rig.up(0, hello(models=(spec(), spec(name="other"))))
    rig.refuse(rig.submit_new(), FULL)
    assert rig.submit_new().error is FULL
    assert rig.submit_new(model="other").worker == 0


def test_the_keys_that_are_kept_are_bounded() -> None:
    fullness = Fullness()
    for number in range(5 * KEYS_MAX):
        if number % 1000 == 0:
            fullness.refused(Caller(1, 1, 0.0, 1.0).signature, 10, FULL, 0.0)
        fullness.answered(number.to_bytes(16, "little"))
    assert len(fullness._answered) == KEYS_MAX
    assert fullness._known is not None
    assert len(fullness._known) <= 2 * KEYS_MAX + 1000
