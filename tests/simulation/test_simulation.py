"""Many seeds, each a fleet with its own faults: `make sim N=20000`, `make sim SEED=17` replays one."""

import secrets

import pytest

from tests.simulation.plan import draw_plan
from tests.simulation.seeds import Tally, run_everywhere, run_seeds
from tests.simulation.story import explain, shorten, try_plan
from tests.simulation.world import World

FRESH = 500

FAILED_ONCE = (
    0,
    18,
    46,
    48,
    50,
    71,
    78,
    85,
    102,
    104,
    111,
    116,
    134,
    150,
    178,
    180,
    258,
    262,
    291,
    302,
    384094791678,
    384094791785,
    731691558258,
    784236809787,
    1080058040246,
    1080058040753,
)
"""Seeds that found something when they were young. A change of what is drawn gives each another life."""


@pytest.mark.parametrize("seed", FAILED_ONCE)
def test_a_seed_that_once_failed_holds(seed: int) -> None:
    failure = try_plan(draw_plan(seed))
    assert failure is None, explain(seed, failure)


@pytest.mark.timeout(300)
def test_fresh_seeds_hold() -> None:
    first = secrets.randbelow(1 << 40)
    print(f"seeds {first} to {first + FRESH - 1}")  # noqa: T201 - shown when it fails
    total = Tally()
    for tally in run_everywhere(first, FRESH):
        total.add(tally)
    for seed in total.failed[:1]:
        failure = try_plan(draw_plan(seed))
        assert failure is None, f"{len(total.failed)} of {FRESH} seeds fail\n{explain(seed, failure)}"
    assert total.failed == []
    assert total.outcomes["Result"] > total.seeds


def test_a_seed_decides_everything() -> None:
    for seed in range(10):
        lives = [World(draw_plan(seed)) for _ in range(2)]
        for world in lives:
            world.run()
        first, second = ((world.story, world.outcomes, world.clock.events) for world in lives)
        assert first == second


def test_a_failure_is_told_by_its_shortest_story() -> None:
    from tests.simulation.broken import BREAKS

    loses = next(one for one in BREAKS if one.name == "loses a call when it moves some")
    with loses.applied():
        plan = draw_plan(0)
        failure = try_plan(plan)
        assert failure is not None
        shorter = shorten(plan, failure.kind)
        told = explain(0, failure)
    assert len(shorter.faults) + len(shorter.requests) < 5
    assert "accepted != finished + pending" in told
    assert "make sim SEED=0" in told


def test_a_tally_adds_up() -> None:
    both = Tally()
    for part in (run_seeds(1, 2), run_seeds(3, 1)):
        both.add(part)
    whole = run_seeds(1, 3)
    assert (both.seeds, both.marks, both.outcomes) == (3, whole.marks, whole.outcomes)
