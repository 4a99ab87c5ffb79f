import json

import pytest

from ringserve.core.signature import TensorLayout
from ringserve.core.tensor import DType, TensorSpec
from ringserve.errors import BadRequest, ModelFailed
from ringserve.wire.oip_json import pack_data, write_data


def of(dtype: DType) -> TensorSpec:
    return TensorSpec("x", dtype, (None,))


@pytest.mark.parametrize("data", [[True, False], [[True], [False]]])
def test_booleans_are_true_and_false(data: list[object]) -> None:
    shape = (2, 1) if isinstance(data[0], list) else (2,)
    assert pack_data(of(DType.BOOL), shape, data) == b"\1\0"
    assert write_data(TensorLayout("x", DType.BOOL, (2,)), b"\1\0") == b"[true,false]"


@pytest.mark.parametrize("value", [1, 0.0, "true", None])
def test_nothing_else_is_a_boolean(value: object) -> None:
    with pytest.raises(BadRequest, match=r"data of input x\[1\] must be true or false"):
        pack_data(of(DType.BOOL), (2,), [True, value])


@pytest.mark.parametrize(
    ("dtype", "value"),
    [(DType.UINT8, 256), (DType.UINT8, -1), (DType.INT8, 128), (DType.UINT64, 2**64), (DType.INT64, 1.5)],
)
def test_a_number_that_the_type_cannot_hold_is_refused(dtype: DType, value: object) -> None:
    with pytest.raises(BadRequest, match=r"data of input x\[0\]"):
        pack_data(of(dtype), (1,), [value])


def test_the_largest_integers_are_exact_both_ways() -> None:
    for dtype, value in ((DType.UINT64, 2**64 - 1), (DType.INT64, -(2**63))):
        raw = pack_data(of(dtype), (1,), [value])
        assert write_data(TensorLayout("x", dtype, (1,)), raw) == b"[%d]" % value


def test_a_scalar_and_an_empty_tensor_have_data_too() -> None:
    assert pack_data(of(DType.INT8), (), [5]) == b"\5"
    assert pack_data(of(DType.INT8), (0, 3), []) == b""


def test_strings_are_utf_8_both_ways() -> None:
    texts = ["", "plain", "\N{SNOWMAN}", "\0"]
    raw = pack_data(of(DType.BYTES), (2, 2), [texts[:2], texts[2:]])
    assert raw == pack_data(of(DType.BYTES), (2, 2), list(texts))
    assert raw.startswith(b"\0\0\0\0\5\0\0\0plain\3\0\0\0")
    assert json.loads(write_data(TensorLayout("x", DType.BYTES, (4,)), raw)) == texts


def test_only_a_string_is_one() -> None:
    with pytest.raises(BadRequest, match=r"data of input x\[0\] must be a string, got 5"):
        pack_data(of(DType.BYTES), (1,), [5])


def test_bytes_that_are_no_text_are_not_written_as_json() -> None:
    with pytest.raises(ModelFailed, match="no UTF-8"):
        write_data(TensorLayout("x", DType.BYTES, (1,)), b"\1\0\0\0\xff")
