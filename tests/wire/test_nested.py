from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringserve.core.tensor import Dim, DType, TensorSpec
from ringserve.errors import BadRequest
from ringserve.wire.nested import item_shape_of, pack_numbers


def read(
    data: list[object], shape: tuple[Dim, ...], dtype: DType = DType.FP32
) -> tuple[tuple[int, ...], bytes]:
    tensor = TensorSpec("x", dtype, ("b", *shape))
    item = item_shape_of(tensor, data)
    return item, pack_numbers(tensor, item, data)


def test_flat_and_nested_lists_give_the_same_bytes() -> None:
    flat = read([1, 2, 3, 4], (2, 2))
    assert flat == read([[1, 2], [3, 4]], (2, 2)) == ((2, 2), struct.pack("<4f", 1, 2, 3, 4))


def test_one_unknown_dimension_follows_from_the_count() -> None:
    assert read([1, 2, 3, 4], (None, 2))[0] == (2, 2)
    assert read([[1], [2]], ("h", "w"))[0] == (2, 1)


def test_an_integer_input_takes_whole_floats() -> None:
    assert read([1.0, 2], (2,), DType.UINT8)[1] == b"\1\2"


@pytest.mark.parametrize(
    ("data", "shape", "dtype", "sentence"),
    [
        ([1, 2, 3], (None, 2), DType.FP32, "a multiple of 2 numbers, got 3"),
        ([], (None,), DType.FP32, "at least one number, got 0"),
        ([1], (None, 0), DType.FP32, "expected at least one number"),
        ([1, 2], (None, None), DType.FP32, "nested like it, not flat"),
        ([[1, 2], [3]], (2, 2), DType.FP32, "ragged.*a list of 1"),
        ([[1, 2], 3], (2, 2), DType.FP32, "ragged.*got 3"),
        ([[[1]]], (1,), DType.FP32, "or deeper"),
        ([[]], (1, 1), DType.FP32, "nested as"),
        ([1.5], (1,), DType.UINT8, "whole number for UINT8, got 1.5"),
        ([300], (1,), DType.UINT8, "is 300, which UINT8 cannot hold"),
        ([70000], (1,), DType.FP16, "which FP16 cannot hold"),
        ([1, 10**30], (2,), DType.INT64, r"input_data\[1\] is 1000"),
    ],
)
def test_what_does_not_fit_is_named(
    data: list[object], shape: tuple[Dim, ...], dtype: DType, sentence: str
) -> None:
    with pytest.raises(BadRequest, match=sentence):
        read(data, shape, dtype)


sizes = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)


def nest(array: np.ndarray) -> list[object]:
    lists: list[object] = array.tolist()
    return lists


@given(sizes, st.data())
def test_any_nesting_is_read_in_row_major_order(shape: tuple[int, ...], data: st.DataObject) -> None:
    array = np.arange(int(np.prod(shape)), dtype="<f4").reshape(shape)
    declared = tuple(data.draw(st.sampled_from([size, "n", None])) for size in shape)
    assert read(nest(array), declared) == (shape, array.tobytes())
    if sum(not isinstance(dim, int) for dim in declared) <= 1:
        assert read(nest(array.ravel()), declared) == (shape, array.tobytes())


@given(sizes.filter(lambda shape: len(shape) > 1), st.data())
def test_a_row_that_is_longer_shorter_or_no_list_makes_it_ragged(
    shape: tuple[int, ...], data: st.DataObject
) -> None:
    lists = nest(np.zeros((2, *shape[1:])))
    last = lists[1]
    assert isinstance(last, list)
    lists[1] = data.draw(st.sampled_from([[*last, last[0]], last[1:], 5, "x", None, {}, True]))
    with pytest.raises(BadRequest, match="ragged"):
        read(lists, (2, *shape[1:]))


@given(
    st.sampled_from([dtype for dtype in DType if dtype.is_integer]),
    st.integers(-(2**66), 2**66) | st.integers(-300, 300),
)
def test_an_integer_is_taken_just_when_the_type_can_hold_it(dtype: DType, number: int) -> None:
    bits = 8 * dtype.size
    low, high = (0, 2**bits) if dtype.name.startswith("U") else (-(2 ** (bits - 1)), 2 ** (bits - 1))
    if low <= number < high:
        assert read([number], (1,), dtype)[1] == np.array([number], dtype.numpy).tobytes()
    else:
        with pytest.raises(BadRequest, match=f"which {dtype.name} cannot hold"):
            read([number], (1,), dtype)


def test_a_long_string_is_shown_in_part() -> None:
    with pytest.raises(BadRequest) as caught:
        read(["x" * 1000], (1,))
    assert len(caught.value.message) < 100


def test_an_item_that_is_one_number_is_a_list_of_one() -> None:
    assert read([7], (), DType.UINT8) == ((), b"\7")
    with pytest.raises(BadRequest, match=r"shape \[\], got lists nested as \[1, 1\]|or deeper"):
        read([[7]], (), DType.UINT8)


def test_a_whole_number_below_the_least_does_not_pass_for_it() -> None:
    """JSON's reader gives the nearest float for an integer that has no 64 bits."""
    with pytest.raises(BadRequest, match="which INT64 cannot hold"):
        read([float(-(2**63) - 1)], (1,), DType.INT64)
    assert read([-(2**63)], (1,), DType.INT64)[1] == struct.pack("<q", -(2**63))
