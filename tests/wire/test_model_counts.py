"""What workers count of their models: told over the link, and summed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringserve.core.tensor import ModelSpec
from ringserve.wire.frames import LinkError
from ringserve.wire.model_counts import decode_counts, encode_counts, sum_of
from ringserve.wire.oip_pages import ModelStatistics

SPEC = ModelSpec("m", "1", "d", (), (), False, 1, True, "cpu")
counts = st.builds(
    ModelStatistics,
    *[st.integers(0, 1 << 40), st.floats(0, 1e6), st.integers(0, 1 << 40)],
    rows=st.integers(0, 9),
    run_s=st.floats(0, 9),
)


@given(counts)
def test_counts_survive_the_wire(counted: ModelStatistics) -> None:
    assert decode_counts(encode_counts([(SPEC, counted)])) == {("m", "1", "d"): counted}


def test_the_sum_has_every_count() -> None:
    one = ModelStatistics(1, 0.5, 2, hits=3, misses=4, rows=5, runs=6, queue_s=0.25, run_s=0.125)
    two = ModelStatistics(2, 1.0, 4, hits=6, misses=8, rows=10, runs=12, queue_s=0.5, run_s=0.25)
    assert sum_of([one, one]) == two
    assert sum_of([one]) == one


def test_of_differences_the_largest_counts() -> None:
    rows = [
        ModelStatistics(0, 0.0, 0, verified=2, differing=1, difference=largest) for largest in (0.5, 0.25)
    ]
    assert sum_of(rows) == ModelStatistics(0, 0.0, 0, verified=4, differing=2, difference=0.5)
    assert sum_of([]) == ModelStatistics(0, 0, 0)


@pytest.mark.parametrize("text", ["", "{}", "[{}]", "[" * 100_000, "\ud800"])
def test_anything_else_is_a_link_error(text: str) -> None:
    with pytest.raises(LinkError, match="cannot be read"):
        decode_counts(text)
