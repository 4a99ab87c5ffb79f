"""One input's description and bytes; `test_oip_rest.py` and `test_oip_grpc.py` read whole requests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringserve.core.byte_strings import join
from ringserve.core.signature import TensorLayout
from ringserve.core.tensor import DType
from ringserve.errors import BadRequest, TooLarge
from ringserve.limits import TENSOR_ELEMENTS_MAX
from ringserve.wire.oip_input import binary_size_of, check_raw, layout_of
from tests.wire.oip_bodies import tensor

X = tensor("x", DType.FP32, "n", 2)


def layout(dtype: DType, *shape: int) -> TensorLayout:
    return TensorLayout("x", dtype, shape)


def test_type_and_shape_are_read() -> None:
    found = layout_of(X, {"datatype": "FP32", "shape": [3, 2]})
    assert (found.name, found.dtype, found.shape) == ("x", DType.FP32, (3, 2))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"datatype": "FP64", "shape": [1, 2]}, "takes datatype FP32, got the string 'FP64'"),
        ({"datatype": "FP32"}, r"must be a list of sizes that fits \[n, 2\]"),
        ({"datatype": "FP32", "shape": [1, -2]}, "must be a list of sizes"),
        ({"datatype": "FP32", "shape": [True, 2]}, "must be a list of sizes"),
        ({"datatype": "FP32", "shape": [1] * 33}, "must be a list of sizes"),
    ],
)
def test_a_wrong_type_or_shape_is_refused(fields: dict[str, object], sentence: str) -> None:
    with pytest.raises(BadRequest, match=sentence):
        layout_of(X, fields)


def test_a_zero_does_not_hide_a_size_beyond_all_measure() -> None:
    with pytest.raises(TooLarge):
        layout_of(X, {"datatype": "FP32", "shape": [0, TENSOR_ELEMENTS_MAX + 1]})


def test_the_size_behind_the_json_is_that_of_type_and_shape() -> None:
    def size(**parameters: object) -> int | None:
        return binary_size_of({"parameters": parameters}, layout(DType.FP32, 1, 2), memoryview(b""))

    assert size(binary_data_size=8) == 8
    assert size() is None
    for wrong in (7, True, "8", None.__class__, 8.5):
        with pytest.raises(BadRequest, match="has 8 bytes, got binary_data_size"):
            size(binary_data_size=wrong)
    with pytest.raises(BadRequest, match="shared memory"):
        size(shared_memory_region="r")


@given(st.lists(st.binary(max_size=4), max_size=4), st.binary(max_size=3), st.integers(0, 20))
def test_strings_are_framed_to_the_byte(texts: list[bytes], more: bytes, cut: int) -> None:
    raw = join(texts)
    check_raw(layout(DType.BYTES, len(texts)), raw)
    for wrong in ({raw + more, raw[:cut]}) - {raw}:
        with pytest.raises(BadRequest, match=r"input x of type BYTES and shape .* has .*its bytes$"):
            check_raw(layout(DType.BYTES, len(texts)), memoryview(wrong))


def test_a_boolean_is_0_or_1_and_of_numbers_any_bytes_are_some() -> None:
    check_raw(layout(DType.BOOL, 2), b"\0\1")
    check_raw(layout(DType.BOOL, 0), b"")
    check_raw(layout(DType.FP32, 1), b"\xff\xff\xff\xff")
    with pytest.raises(BadRequest, match="booleans"):
        check_raw(layout(DType.BOOL, 2), memoryview(b"\0\2"))
