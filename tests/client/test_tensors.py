from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ringserve.client.tensors import bfloat16, dtype_of, from_list, pack, unpack
from ringserve.core.tensor import DType

NUMBERS = [dtype for dtype in DType if dtype.numpy is not None]
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)


@given(st.data(), st.sampled_from(NUMBERS), SHAPES)
def test_numbers_survive_the_journey_bit_by_bit(
    data: st.DataObject, dtype: DType, shape: tuple[int, ...]
) -> None:
    assert dtype.numpy is not None
    array = data.draw(hnp.arrays(dtype.numpy, shape))
    given_order = array.astype(array.dtype.newbyteorder(data.draw(st.sampled_from("<>"))))
    assert dtype_of("x", given_order) is dtype
    raw = pack("x", given_order, dtype)
    again = unpack(dtype, shape, memoryview(raw))
    assert (again.dtype, again.shape, again.tobytes()) == (dtype.numpy, shape, array.tobytes())
    assert again.flags.writeable
    assert again.flags.aligned


@settings(max_examples=50)
@given(
    st.lists(st.text(max_size=4) | st.binary(max_size=4), max_size=5),
    st.sampled_from([(-1,), (1, -1), (-1, 1, 1)]),
)
def test_strings_survive_the_journey(elements: list[Any], shape: tuple[int, ...]) -> None:
    elements = [one for one in elements if isinstance(one, bytes) or one.isprintable()]
    array = np.empty(len(elements), object)
    array[:] = elements
    array = array.reshape(shape) if elements else array
    raw = pack("x", array, dtype_of("x", array))
    again = unpack(DType.BYTES, array.shape, memoryview(raw))
    expected = [one if isinstance(one, str) else one.decode("utf-8", "surrogateescape") for one in elements]
    assert again.reshape(-1).tolist() == expected
    assert pack("x", again, DType.BYTES) == raw


@pytest.mark.parametrize("array", [np.array(["é", "ab"]), np.array(["é".encode(), b"ab"])])
def test_arrays_of_fixed_length_are_strings_too(array: Any) -> None:  # noqa: ANN401 - an array
    assert dtype_of("x", array) is DType.BYTES
    assert unpack(DType.BYTES, (2,), memoryview(pack("x", array, DType.BYTES))).tolist() == ["é", "ab"]


def test_a_large_array_is_not_copied_and_a_strided_one_is_put_in_order() -> None:
    large = np.arange(1 << 16, dtype=np.float32)
    raw = pack("x", large, DType.FP32)
    assert isinstance(raw, memoryview)
    assert np.shares_memory(np.frombuffer(raw, np.float32), large)
    turned = large.reshape(256, 256).T
    assert bytes(pack("x", turned, DType.FP32)) == turned.tobytes()


def test_bfloat16_is_that_of_ml_dtypes() -> None:
    kind = bfloat16()
    array = np.array([1.5, -2], kind)
    assert dtype_of("x", array) is DType.BF16
    raw = pack("x", array, DType.BF16)
    assert pack("x", array.view(np.uint16), DType.BF16) == raw
    assert unpack(DType.BF16, (2,), memoryview(raw)).dtype == kind


def test_bfloat16_is_its_bits_without_ml_dtypes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    bfloat16.cache_clear()
    try:
        assert unpack(DType.BF16, (1,), memoryview(b"\xc0\x3f")).tolist() == [0x3FC0]
    finally:
        bfloat16.cache_clear()


@pytest.mark.parametrize(
    ("array", "dtype", "sentence"),
    [
        (np.array([1 + 2j]), None, "numpy type complex128, which the protocol does not have"),
        (np.array(["2026-01-01"], "M8[D]"), None, "which the protocol does not have"),
        (np.array([1, "a"], object), DType.BYTES, "must be str or bytes, got int"),
        (np.array([1.0]), DType.FP32, "numpy type float64, which is not FP32"),
        (np.array([1.0]), DType.BF16, "must be bfloat16 or uint16, got float64"),
    ],
)
def test_what_cannot_be_sent_is_named(array: Any, dtype: DType | None, sentence: str) -> None:  # noqa: ANN401
    with pytest.raises(TypeError, match=sentence):
        pack("x", array, dtype or dtype_of("x", array))


@pytest.mark.parametrize(
    ("dtype", "shape", "raw"),
    [
        (DType.FP32, (2,), bytes(7)),
        (DType.FP32, (2,), bytes(9)),
        (DType.BYTES, (1,), b"\x02\0\0\0a"),
        (DType.BYTES, (1,), b"\x01\0\0\0ab"),
        (DType.INT8, (1 << 40, 1 << 40), b""),
    ],
)
def test_bytes_that_do_not_fit_are_no_array(dtype: DType, shape: tuple[int, ...], raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        unpack(dtype, shape, memoryview(raw))


def test_json_data_is_read_flat_and_nested_and_refused_otherwise() -> None:
    assert from_list(DType.INT64, (2, 1), [[1], [2]]).tolist() == [[1], [2]]
    assert from_list(DType.BYTES, (2, 1), ["a", "b"]).tolist() == [["a"], ["b"]]
    wrong: list[tuple[DType, list[object]]] = [
        (DType.INT8, [300, 1]),
        (DType.INT8, ["a", 1]),
        (DType.INT8, [1]),
        (DType.INT8, [[1], [1, 2]]),
        (DType.BYTES, ["a", 1]),
        (DType.FP32, [None, {}]),
        (DType.BF16, [1, 2]),
    ]
    for dtype, data in wrong:
        with pytest.raises(ValueError, match=r"."):
            from_list(dtype, (2,), data)
