import pytest

from ringserve.core.signature import TensorLayout
from ringserve.core.tensor import DType
from ringserve.errors import BadRequest
from ringserve.wire.oip_grpc_contents import pack_contents
from ringserve.wire.proto.messages import message

Contents = message("inference.InferTensorContents")


def test_numbers_and_strings_become_raw_bytes() -> None:
    assert pack_contents(TensorLayout("x", DType.INT8, (2,)), Contents(int_contents=[1, -1])) == b"\x01\xff"
    strings = Contents(bytes_contents=[b"ab"])
    assert pack_contents(TensorLayout("x", DType.BYTES, (1,)), strings) == b"\x02\0\0\0ab"


def test_an_empty_tensor_has_no_contents() -> None:
    assert pack_contents(TensorLayout("x", DType.FP32, (0, 3)), Contents()) == b""


def test_another_field_number_or_range_is_refused() -> None:
    one = TensorLayout("x", DType.UINT8, (1,))
    with pytest.raises(BadRequest, match="go by uint_contents, not int_contents"):
        pack_contents(one, Contents(int_contents=[1]))
    with pytest.raises(BadRequest, match=r"shape \[1\] has 1 elements, got 2"):
        pack_contents(one, Contents(uint_contents=[1, 2]))
    with pytest.raises(BadRequest, match="cannot hold 256"):
        pack_contents(one, Contents(uint_contents=[256]))
    with pytest.raises(BadRequest, match="raw_input_contents only"):
        pack_contents(TensorLayout("x", DType.BF16, (1,)), Contents())
