"""Keys in flight are followed, new keys go home, and only a real overload sends them elsewhere."""

import pytest

from ringserve.errors import QueueFull
from tests.core.router.rig import Rig, hello, spec


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_a_new_key_goes_to_its_owner_on_the_ring(rig: Rig) -> None:
    assert [rig.submit_new(home=home).worker for home in (2, 0, 1)] == [2, 0, 1]


def test_a_light_load_never_leaves_home_however_uneven(rig: Rig) -> None:
    callers = [rig.submit_new(home=1) for _ in range(8)]
    assert {caller.worker for caller in callers} == {1}


def test_above_the_floor_and_the_factor_a_new_key_spills_to_the_next_on_the_ring(rig: Rig) -> None:
    for _ in range(8):
        rig.submit_new(home=1)
    spilled = rig.caller(home=1)
    order = list(rig.router.models.ring.preference(spilled.key))
    assert rig.submit(spilled).worker == order[1]
    assert rig.worker(1).spilled == 1


def test_above_the_floor_but_within_the_factor_a_new_key_goes_home(rig: Rig) -> None:
    for home in (0, 1, 2):
        for _ in range(8):
            rig.submit_new(home=home)
    assert [rig.submit_new(home=home).worker for home in (0, 1, 2)] == [0, 1, 2]


def test_the_factor_is_exactly_five_quarters_of_the_mean(rig: Rig) -> None:
    for index, depth in enumerate((10, 8, 6)):
        rig.router.depth(index, depth)
    assert rig.submit_new(home=0).worker == 0
    rig.router.depth(0, 11)
    assert rig.submit_new(home=0).worker != 0


def test_the_floor_is_the_models_largest_batch() -> None:
    rig = Rig(up=False)
    for index in range(3):
        rig.up(index, hello(model=spec(max_batch=32)))
    assert {rig.submit_new(home=0).worker for _ in range(32)} == {0}
    assert rig.submit_new(home=0).worker != 0


def test_a_key_in_flight_is_followed_though_its_worker_is_overloaded(rig: Rig) -> None:
    first = rig.submit_new(home=1)
    rig.router.depth(1, 500)
    assert rig.submit_new(home=1).worker != 1
    assert rig.submit(rig.same(first)).worker == 1


def test_a_spilled_key_is_followed_away_from_home(rig: Rig) -> None:
    rig.router.depth(1, 500)
    spilled = rig.submit_new(home=1)
    rig.router.depth(1, 0)
    assert spilled.worker != 1
    assert rig.submit(rig.same(spilled)).worker == spilled.worker


def test_calls_of_one_key_count_once_toward_the_load(rig: Rig) -> None:
    first = rig.submit_new(home=0, rows=3)
    callers = [first, *(rig.submit(rig.same(first)) for _ in range(20))]
    assert rig.worker(0).load == 3
    for caller in callers:
        assert rig.worker(0).load == 3
        rig.finish(caller)
    assert rig.worker(0).load == 0
    assert rig.router.models.flights() == 0


def test_everybody_overloaded_is_better_than_nobody() -> None:
    rig = Rig(workers=2)
    rig.lose(0)
    rig.router.depth(1, 500)
    assert rig.submit_new(home=0).worker == 1


def test_a_worker_out_of_credit_is_passed_over_and_none_with_credit_is_429() -> None:
    rig = Rig(workers=2, up=False)
    rig.up(0, hello(credit_items=2))
    rig.up(1, hello(credit_items=2))
    callers = [rig.submit_new(home=0) for _ in range(5)]
    assert sorted(caller.worker for caller in callers[:4]) == [0, 0, 1, 1]
    assert isinstance(callers[4].error, QueueFull)


def test_a_depth_reported_on_a_lost_link_is_forgotten(rig: Rig) -> None:
    rig.router.depth(1, 500)
    rig.lose(1)
    rig.up(1)
    assert rig.worker(1).load == 0
    assert rig.submit_new(home=1).worker == 1


def test_keys_of_a_lost_worker_come_back_with_it(rig: Rig) -> None:
    rig.lose(1)
    assert rig.submit_new(home=1).worker != 1
    rig.up(1)
    assert rig.submit_new(home=1).worker == 1
