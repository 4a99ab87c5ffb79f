"""The walk over a request's fields must say what protobuf says."""

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from ringserve.errors import BadRequest
from ringserve.wire.oip_grpc_split import model_of, split, varint
from ringserve.wire.proto.messages import InferRequest

FIELD_15 = bytes([15 << 3 | 2, 1, 65])
NUMBER_9 = bytes([9 << 3, 5])


@given(
    name=st.text(max_size=200),
    request_id=st.text(max_size=200),
    raws=st.lists(st.binary(max_size=300), max_size=4),
    inputs=st.lists(st.text(max_size=5), max_size=3),
    tail=st.sampled_from([b"", FIELD_15, NUMBER_9]),
)
def test_a_request_is_split_into_head_id_and_tensors(
    name: str, request_id: str, raws: list[bytes], inputs: list[str], tail: bytes
) -> None:
    message = InferRequest(model_name=name, id=request_id, raw_input_contents=raws)
    for one in inputs:
        message.inputs.add(name=one)
    parts = split(message.SerializeToString() + tail)
    assert parts.request_id.decode() == request_id
    assert [bytes(raw) for raw in parts.raws] == raws
    head = InferRequest.FromString(parts.head)
    assert (head.model_name, [one.name for one in head.inputs]) == (name, inputs)
    assert not head.raw_input_contents
    assert head.id == ""


@given(data=st.binary(max_size=60) | st.lists(st.sampled_from(b"\x1a\x3a\x0a\x01\x02\x80\x00")).map(bytes))
def test_any_bytes_are_split_as_protobuf_reads_them_or_refused(data: bytes) -> None:
    try:
        message = InferRequest.FromString(data)
    except DecodeError:
        message = None
    try:
        parts = split(data)
        head = InferRequest.FromString(parts.head)
    except (BadRequest, DecodeError):
        assert message is None
        return
    assert message is not None
    assert parts.request_id.decode() == message.id
    assert [bytes(raw) for raw in parts.raws] == list(message.raw_input_contents)
    assert head.model_name == message.model_name


def test_an_id_that_is_no_text_is_refused() -> None:
    with pytest.raises(BadRequest, match="UTF-8"):
        split(b"\x1a\x01\xff")


@given(number=st.integers(0, 1 << 32))
def test_a_number_is_written_as_protobuf_writes_it(number: int) -> None:
    message = InferRequest()
    message.parameters["p"].uint64_param = number
    assert message.SerializeToString().endswith(varint(number))


@pytest.mark.parametrize("version", ["", "3", "v" * 300])
@pytest.mark.parametrize("name", ["", "m", "\u00e9/\u2603", "n" * 300])
def test_a_heads_model_is_found_without_reading_the_rest(name: str, version: str) -> None:
    asked = InferRequest(model_name=name, model_version=version, id="x", raw_input_contents=[b"1234"])
    asked.inputs.add(name="x", datatype="FP32", shape=[1])
    assert model_of(split(asked.SerializeToString()).head) == (name, version)


@pytest.mark.parametrize("head", [b"\x0a", b"\x0a\xff", b"\x0a\x01a\x12"])
def test_a_head_that_ends_in_a_length_is_refused(head: bytes) -> None:
    with pytest.raises(BadRequest, match="cut off"):
        model_of(head)


@given(st.binary(max_size=60))
def test_any_head_has_a_model_or_is_refused(head: bytes) -> None:
    try:
        name, version = model_of(head)
    except BadRequest:
        return
    assert isinstance(name, str)
    assert isinstance(version, str)
