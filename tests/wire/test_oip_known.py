"""A request of a form seen before is read as any other: the same, or the same complaint."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringserve.core.tensor import DType
from ringserve.errors import ServeError
from ringserve.wire.oip_known import HEAD_BYTES_MAX, KNOWN_MAX
from ringserve.wire.oip_rest import RestCodec
from tests.wire.oip_bodies import model, tensor

SPEC = model(tensor("x", DType.FP32, "n", 2))
WHOLE = model(tensor("x", DType.INT8, "n", 2))
TWO = model(tensor("a", DType.FP32, "n", 2), tensor("b", DType.FP32, "n", 2))
TRUTHS = model(tensor("x", DType.BOOL, "n", 2))


def outcome(codec: RestCodec, body: bytes, json_size: int | None = None, version: str = "") -> object:
    """All that a request says, or its complaint."""
    try:
        read = codec.decode(body, json_size, version)
    except ServeError as error:
        return type(error), error.message
    signature = read.signature
    return read.request_id, signature.encoded, signature.rows, read.payload, read.outputs, read.timeout_us


def primed(spec: Any = SPEC) -> RestCodec:  # noqa: ANN401 - a model
    """A codec that knows the plain forms of one and of two rows."""
    codec = RestCodec(spec)
    for rows in (1, 2):
        codec.decode(in_json(shape=[rows, 2], data=[1, 2] * rows, datatype=spec.inputs[0].dtype.name), None)
    return codec


def in_json(**fields: object) -> bytes:
    one = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2], **fields}
    return json.dumps({"inputs": [one]}).encode()


def binary(*inputs: str, behind: bytes, **fields: object) -> tuple[bytes, int]:
    one = {"datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}}
    head = json.dumps({"inputs": [{"name": name, **one} for name in inputs], **fields}).encode()
    return head + behind, len(head)


@pytest.mark.parametrize(
    "body",
    [
        in_json(),
        in_json(shape=[2, 2], data=[1, 2, 3, 4]),
        in_json(shape=[2, 2], data=[[1, 2], [3, 4]]),
        in_json(data=[1.5, -2]),
        in_json(data=[1]),
        in_json(data=[1, 2, 3]),
        in_json(data=[1, True]),
        in_json(data=[1, "2"]),
        in_json(data=[1, None]),
        in_json(data=[1, 1e39]),
        in_json(data={}),
        in_json(shape=[1.0, 2]),
        in_json(shape=[True, 2]),
        in_json(shape=[1, 3]),
        in_json(shape=[[1], 2]),
        in_json(shape="12"),
        in_json(shape=None),
        in_json(name=["x"]),
        in_json(name="y"),
        in_json(datatype="FP64"),
        in_json(parameters={"binary_data_size": 8}),
        in_json(surplus="true"),
        b'{"id": "a", ' + in_json()[1:],
        b'{"id": null, ' + in_json()[1:],
        b'{"id": 5, ' + in_json()[1:],
        b'{"outputs": [], ' + in_json()[1:],
        b'{"parameters": {"timeout": 5}, ' + in_json()[1:],
        b'{"parameters": {"binary_data_output": true}, ' + in_json()[1:],
        b'{"inputs": [5]}',
        b'{"inputs": []}',
        b'{"inputs": {}}',
        b'{"inputs": [{}]}',
        b"[]",
    ],
    ids=range(33),
)
def test_json_is_read_as_by_one_who_knows_nothing(body: bytes) -> None:
    for version in ("", "1", "2"):
        assert outcome(primed(), body, version=version) == outcome(RestCodec(SPEC), body, version=version)


@given(st.lists(st.one_of(st.integers(-200, 200), st.floats(width=16)), min_size=2, max_size=2))
def test_numbers_that_a_type_cannot_hold_are_refused_alike(data: list[float]) -> None:
    body = in_json(data=data, datatype="INT8")
    assert outcome(primed(WHOLE), body) == outcome(RestCodec(WHOLE), body)


def test_a_known_form_is_packed_and_keeps_its_name() -> None:
    codec = primed()
    read = codec.decode(b'{"id": "a", ' + in_json(data=[3, 4])[1:], None)
    assert codec._known._plain
    assert (read.request_id, read.payload) == ("a", b"\0\0\x40\x40\0\0\x80\x40")


@pytest.mark.parametrize(
    ("body", "size"),
    [
        binary("a", "b", behind=bytes(range(16))),
        binary("b", "a", behind=bytes(range(16))),
        binary("a", "b", behind=bytes(15)),
        binary("a", "b", behind=bytes(17)),
        binary("a", "b", behind=bytes(16), id="one"),
        binary("a", "b", behind=bytes(16), parameters={"timeout": 7, "binary_data_output": True}),
        binary("a", "b", behind=bytes(16), outputs=[{"name": "y", "parameters": {"classification": 1}}]),
        (binary("a", "b", behind=b"")[0], 10_000),
    ],
    ids=range(8),
)
def test_bytes_behind_json_are_read_as_by_one_who_knows_nothing(body: bytes, size: int) -> None:
    codec = RestCodec(TWO)
    first = outcome(codec, body, size)
    assert outcome(codec, body, size) == first
    whole, good = binary("a", "b", behind=bytes(16))
    codec.decode(whole, good)
    for version in ("", "1", "2"):
        assert outcome(codec, body, size, version) == outcome(RestCodec(TWO), body, size, version)


def test_bytes_that_must_be_looked_at_are_looked_at_each_time() -> None:
    codec = RestCodec(TRUTHS)
    head = json.dumps(
        {
            "inputs": [
                {"name": "x", "datatype": "BOOL", "shape": [1, 2], "parameters": {"binary_data_size": 2}}
            ]
        }
    ).encode()
    codec.decode(head + b"\0\1", len(head))
    with pytest.raises(ServeError, match="booleans"):
        codec.decode(head + b"\0\2", len(head))


def test_what_is_remembered_is_bounded() -> None:
    codec = RestCodec(SPEC)
    for number in range(KNOWN_MAX + 5):
        body, size = binary("x", behind=bytes(8), id=str(number))
        codec.decode(body, size)
        codec.decode(in_json(shape=[number + 1, 2], data=[0, 1] * (number + 1)), None)
    assert len(codec._known._heads) == len(codec._known._plain) == 5
    body, size = binary("x", behind=bytes(8), id="l" * HEAD_BYTES_MAX)
    codec.decode(body, size)
    assert len(codec._known._heads) == 5
