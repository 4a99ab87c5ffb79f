from __future__ import annotations

import struct

import pytest

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
