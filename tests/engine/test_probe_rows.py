"""Made-up rows fit the model's inputs, differ in magnitude, and come out the same each time."""

import numpy as np
import pytest

from ringserve.core.tensor import DType, TensorSpec
from ringserve.engine.probe_rows import (
    Sizes,
    candidate_sizes,
    item_shape,
    make_row,
    nudge,
    open_dimensions,
    other_sizes,
    recipes,
    stack_rows,
    widen,
)

IMAGE = TensorSpec("x", DType.FP32, ("N", 3, "h", "w"))
TOKENS = TensorSpec("ids", DType.INT64, ("N", "seq"))
MASK = TensorSpec("mask", DType.INT64, ("N", "seq"))
BYTES = TensorSpec("b", DType.UINT8, ("N", 100))
NAMELESS = TensorSpec("n", DType.FP32, (None, None, 4))
FLAG = TensorSpec("f", DType.BOOL, ("N", 50))


def test_a_symbol_of_several_inputs_is_one_dimension() -> None:
    assert open_dimensions([TOKENS, MASK]) == ["seq"]


def test_a_dimension_without_a_name_is_its_inputs_own() -> None:
    assert open_dimensions([NAMELESS, IMAGE]) == [("n", 1), "h", "w"]


def test_a_sum_of_dimensions_follows_from_them() -> None:
    mask = TensorSpec("mask", DType.INT64, ("N", "past + seq"))
    longer = TensorSpec("longer", DType.INT64, ("N", "seq + 1"))
    past = TensorSpec("past", DType.FP32, ("N", "past", 8))
    assert open_dimensions([mask, longer, past, TOKENS]) == ["past", "seq"]
    sizes: Sizes = {"past": 4, "seq": 5}
    assert [item_shape(spec, sizes) for spec in (mask, longer, past)] == [[9], [6], [4, 8]]
    assert open_dimensions([mask, TOKENS]) == ["past + seq", "seq"]


def test_sizes_are_tried_alike_first_and_mixed_later() -> None:
    tried = list(candidate_sizes([IMAGE]))
    assert tried[0] == {"h": 5, "w": 5}
    assert {"h": 32, "w": 4} in tried


def test_a_model_without_open_dimensions_has_one_size() -> None:
    assert list(candidate_sizes([BYTES])) == [{}]


def test_items_too_big_to_try_are_left_out() -> None:
    volume = TensorSpec("v", DType.FP32, ("N", "a", "b", "c", "d"))
    assert all(np.prod(item_shape(volume, sizes)) <= 2**20 for sizes in candidate_sizes([volume]))
    fives: Sizes = {"a": 5, "b": 5, "c": 5, "d": 5}
    others = list(other_sizes([volume], fives))
    assert others
    assert all(np.prod(item_shape(volume, sizes)) <= 2**20 for sizes in others)


def test_other_sizes_differ_everywhere_first_and_then_in_one_dimension() -> None:
    sizes: Sizes = {"h": 5, "w": 8}
    others = list(other_sizes([IMAGE], sizes))
    assert others[0] == {"h": 16, "w": 16}
    assert {"h": 5, "w": 16} in others
    assert {"h": 16, "w": 8} in others
    assert {"h": 3, "w": 4} in others


def test_a_row_has_the_items_shape_and_comes_out_the_same_again() -> None:
    recipe = next(recipes([IMAGE]))
    row = make_row([IMAGE], {"h": 5, "w": 8}, recipe, 3)
    assert row["x"].shape == (1, 3, 5, 8)
    assert row["x"].dtype == np.float32
    assert np.array_equal(row["x"], make_row([IMAGE], {"h": 5, "w": 8}, recipe, 3)["x"])


def test_an_input_without_a_batch_axis_keeps_its_whole_shape() -> None:
    fixed = TensorSpec("x", DType.FP32, (3, 4))
    assert make_row([fixed], {}, next(recipes([fixed])), 0)["x"].shape == (3, 4)


def test_rows_differ_in_magnitude_by_five_orders() -> None:
    recipe = next(recipes([IMAGE]))
    sizes: Sizes = {"h": 8, "w": 8}
    largest = [np.abs(make_row([IMAGE], sizes, recipe, number)["x"]).max() for number in range(8)]
    assert max(largest) / min(largest) > 1e5


def test_whole_numbers_reach_the_ranges_end_and_differ_in_magnitude() -> None:
    recipe = list(widen(next(recipes([BYTES])), 0, BYTES))[-1]
    tops = [int(make_row([BYTES], {}, recipe, number)["b"].max()) for number in range(3)]
    assert tops == [255, 1, 16]


def test_ranges_grow_as_far_as_the_type_holds() -> None:
    start = next(recipes([TOKENS, BYTES]))
    assert [recipe.high for recipe in widen(start, 0, TOKENS)] == [(9, 1), (99, 1), (999, 1), (30_000, 1)]
    assert [recipe.high for recipe in widen(start, 1, BYTES)] == [(1, 9), (1, 99), (1, 255)]
    assert list(widen(start, 0, IMAGE)) == []


def test_booleans_are_mixed_and_a_gentle_recipe_has_them_all_true() -> None:
    mixed, *_, gentle = recipes([FLAG])
    assert 0 < make_row([FLAG], {}, mixed, 0)["f"].sum() < 50
    assert make_row([FLAG], {}, gentle, 0)["f"].all()


def test_rows_are_joined_along_the_batch_axis() -> None:
    recipe = next(recipes([TOKENS, MASK]))
    rows = [make_row([TOKENS, MASK], {"seq": 5}, recipe, number) for number in range(3)]
    together = stack_rows(rows)
    assert together["ids"].shape == together["mask"].shape == (3, 5)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_nudge_moves_fractions_by_one_unit_in_the_last_place(dtype: type[np.floating]) -> None:
    row = {"x": np.ones((1, 50), dtype), "i": np.ones((1, 4), np.int64)}
    moved = nudge(row, np.random.default_rng(0))
    assert moved["i"] is row["i"]
    below, above = np.nextafter(dtype(1), dtype(0)), np.nextafter(dtype(1), dtype(2))
    assert set(moved["x"].ravel().tolist()) == {float(below), float(above)}
