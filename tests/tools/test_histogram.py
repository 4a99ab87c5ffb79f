from __future__ import annotations

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from ringserve.tools.histogram import ROWS_MAX, bar, buckets_of, draw

latencies = st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=200)


@given(latencies)
@example([0.001])
@example([1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2])
def test_each_sample_is_counted_once_in_the_bucket_that_holds_it(values: list[float]) -> None:
    buckets = buckets_of(values)
    for bucket in buckets:
        assert bucket.count == sum(bucket.low_s <= value < bucket.high_s for value in values)
    assert sum(bucket.count for bucket in buckets) == len(values)


@given(latencies)
def test_buckets_adjoin_are_few_and_waste_no_row_at_the_ends(values: list[float]) -> None:
    buckets = buckets_of(values)
    assert 1 <= len(buckets) <= ROWS_MAX
    assert all(one.high_s == other.low_s for one, other in pairwise(buckets))
    assert buckets[0].count
    assert buckets[-1].count


@given(latencies, st.integers(60, 200))
def test_a_drawing_keeps_within_its_width(values: list[float], width: int) -> None:
    buckets = buckets_of(values)
    lines = draw(buckets, width)
    assert len(lines) == len(buckets)
    assert all(len(line) <= width for line in lines)


@given(st.integers(0, 10_000), st.integers(1, 10_000), st.integers(1, 80))
def test_a_bar_is_empty_for_nothing_only_and_full_for_the_most(count: int, most: int, width: int) -> None:
    most = max(count, most)
    drawn = bar(count, most, width)
    assert bool(drawn) == (count > 0)
    assert len(drawn) <= width
    assert bar(most, most, width) == "█" * width


def test_no_samples_draw_nothing() -> None:
    assert buckets_of([]) == []
    assert draw([], 80) == []
    assert bar(0, 0, 10) == ""


def test_a_range_of_more_decades_than_rows_gets_a_row_for_each() -> None:
    assert len(buckets_of([1e-6, 1e3], rows_max=2)) == 10
