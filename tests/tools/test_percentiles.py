from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from ringserve.tools.percentiles import percentile, summarise

samples = st.lists(st.floats(0, 1e3, allow_nan=False), min_size=1, max_size=300)
percents = st.integers(1, 100)


@given(samples, percents)
def test_a_percentile_is_the_smallest_sample_that_enough_samples_do_not_exceed(
    values: list[float], percent: int
) -> None:
    found = percentile(sorted(values), percent)
    enough = [one for one in values if sum(other <= one for other in values) * 100 >= percent * len(values)]
    assert found == min(enough)


@given(samples)
def test_a_summary_is_in_order_and_does_not_hang_on_the_order_of_the_samples(values: list[float]) -> None:
    summary = summarise(values)
    assert summary is not None
    figures = [
        summary.min_s,
        summary.median_s,
        summary.p90_s,
        summary.p95_s,
        summary.p99_s,
        summary.max_s,
    ]
    assert figures == sorted(figures)
    assert math.isclose(summary.mean_s, sum(values) / len(values), abs_tol=1e-9)
    assert summarise(values[::-1]) == summary


def test_the_textbook_example_has_its_ranks() -> None:
    ascending = [15.0, 20.0, 35.0, 40.0, 50.0]
    assert [percentile(ascending, percent) for percent in (5, 30, 40, 50, 100)] == [15, 20, 20, 35, 50]


def test_no_samples_have_no_summary() -> None:
    assert summarise([]) is None
