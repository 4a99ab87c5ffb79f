"""A row of a batch is the row's own answer within the tolerance, and its rounding is no difference."""

import numpy as np
import pytest

from ringserve.engine.arrays import Array
from ringserve.engine.compare import agrees, describe_difference


def floats(*numbers: float) -> Array:
    return np.array([numbers], np.float32)


def never() -> list[Array]:
    raise AssertionError("no second look is needed here")


@pytest.mark.parametrize(
    ("together", "alone"),
    [
        (floats(1.0, -2.0), floats(1.0, -2.0)),
        (floats(1.00005), floats(1.0)),
        (floats(9e-6), floats(0.0)),
        (floats(np.nan, np.inf, -np.inf), floats(np.nan, np.inf, -np.inf)),
        (np.array([[3]]), np.array([[3]])),
        (np.array([[True]]), np.array([[True]])),
        (np.zeros((1, 0), np.float32), np.zeros((1, 0), np.float32)),
    ],
)
def test_equal_within_the_tolerance_agrees_at_first_sight(together: Array, alone: Array) -> None:
    assert agrees(together, alone, never)


@pytest.mark.parametrize(
    ("together", "alone"),
    [
        (floats(1.001), floats(1.0)),
        (floats(2e-5), floats(0.0)),
        (floats(np.nan), floats(0.0)),
        (floats(0.0), floats(np.inf)),
        (floats(np.inf), floats(-np.inf)),
    ],
)
def test_a_difference_that_no_rounding_makes_does_not_agree(together: Array, alone: Array) -> None:
    assert not agrees(together, alone, lambda: [alone] * 8)


def test_whole_numbers_must_be_equal() -> None:
    assert not agrees(np.array([[1_000_001]]), np.array([[1_000_000]]), never)
    assert not agrees(np.array([[True]]), np.array([[False]]), never)


def test_an_element_that_cancels_may_differ_by_its_own_rounding() -> None:
    alone, together = floats(5000.0, 0.001), floats(5000.0, 0.002)
    assert agrees(together, alone, lambda: [floats(5000.0, 0.0015), floats(5000.0, 0.0012)])


def test_rounding_excuses_no_more_than_a_part_of_the_rows_largest_element() -> None:
    alone, together = floats(1.0, 0.001), floats(1.0, 0.002)
    assert not agrees(together, alone, lambda: [floats(1.0, 0.1)])


def test_a_nudge_that_changes_the_shape_is_no_excuse() -> None:
    assert not agrees(floats(5000.0, 0.002), floats(5000.0, 0.001), lambda: [np.ones((1, 7), np.float32)])


@pytest.mark.parametrize(
    ("together", "alone", "said"),
    [
        (floats(1.0, -2.5), floats(1.0, -2.0), " (by 0.25 times its largest number)"),
        (np.array([[3]]), np.array([[4]]), " (by 0.25 times its largest number)"),
        (floats(np.nan, 1.1), floats(np.nan, 1.0), " (by 0.1 times its largest number)"),
        (floats(1.0), floats(0.0), ""),
        (np.array([[True]]), np.array([[False]]), ""),
        (np.array([["a"]], object), np.array([["b"]], object), ""),
    ],
)
def test_how_far_a_row_moved_is_told_of_numbers(together: Array, alone: Array, said: str) -> None:
    assert describe_difference(together, alone) == said
