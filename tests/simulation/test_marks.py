"""The seeds reach the branches for which there is a simulation."""

from tests.simulation.marks import MARKS
from tests.simulation.seeds import Tally, run_seeds

SEEDS_MAX = 1000
STEP = 50


def test_the_seeds_reach_every_mark() -> None:
    total, missed = Tally(), list(MARKS)
    while missed and total.seeds < SEEDS_MAX:
        total.add(run_seeds(total.seeds, STEP))
        missed = [mark for mark in MARKS if not total.marks[mark]]
    assert missed == []
    assert total.failed == []
