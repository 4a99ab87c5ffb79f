"""The simulation finds brains that are broken on purpose."""

import re

import pytest

from tests.simulation.breaks import Break
from tests.simulation.broken import BREAKS
from tests.simulation.plan import draw_plan
from tests.simulation.story import try_plan

SEEDS_MAX = 150
OFTEN = (41, 27, 49, 130, 30, 59, 23, 17, 90, 75)
"""Seeds that find what few others do: they are tried early. All others are tried where they do not."""
SEEDS = (*range(10), *OFTEN, *(seed for seed in range(10, SEEDS_MAX) if seed not in OFTEN))


@pytest.mark.parametrize("broken", BREAKS, ids=lambda broken: broken.name)
def test_a_brain_that_is_broken_is_found(broken: Break) -> None:
    told = set()
    with broken.applied():
        for seed in (*SEEDS, *range(broken.first, broken.first + SEEDS_MAX)):
            failure = try_plan(draw_plan(seed))
            if failure is not None:
                told.add(failure.kind)
                if re.search(broken.sentence, failure.sentence):
                    return
    pytest.fail(f"{2 * SEEDS_MAX} seeds did not find it; they found {told}")
