from bisect import bisect_left
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringserve.core.histogram import LATENCY_BOUNDS_S, SIZE_BOUNDS, Histogram


@given(st.lists(st.floats(0, 100) | st.sampled_from(LATENCY_BOUNDS_S)))
def test_each_value_is_in_the_first_bucket_whose_bound_it_does_not_exceed(values: list[float]) -> None:
    histogram = Histogram(LATENCY_BOUNDS_S)
    for value in values:
        histogram.observe(value)
    seen = histogram.statistics()
    edges = [-1.0, *LATENCY_BOUNDS_S, float("inf")]
    expected = [sum(low < value <= high for value in values) for low, high in pairwise(edges)]
    assert list(seen.counts) == expected
    assert seen.count == len(values)
    assert seen.sum == pytest.approx(sum(values))


def test_its_statistics_do_not_change_with_it() -> None:
    histogram = Histogram((1.0, 2.0))
    histogram.observe(1.5)
    before = histogram.statistics()
    histogram.observe(9.0)
    assert (before.counts, before.sum) == ((0, 1, 0), 1.5)
    assert histogram.statistics().counts == (0, 1, 1)


def test_bounds_that_do_not_ascend_are_our_mistake() -> None:
    with pytest.raises(AssertionError):
        Histogram((1.0, 1.0))


def test_the_bounds_reach_from_100_us_to_30_s_and_to_4096_items() -> None:
    assert (LATENCY_BOUNDS_S[0], LATENCY_BOUNDS_S[-1]) == (100e-6, 30.0)
    assert bisect_left(SIZE_BOUNDS, 4096) == len(SIZE_BOUNDS) - 1
