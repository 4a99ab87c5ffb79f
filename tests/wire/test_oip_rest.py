"""Bodies of `/v2/models/{model}/infer`, read, held against numpy."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringserve.core.signature import Result, ResultLayout, TensorLayout
from ringserve.core.tensor import DType
from ringserve.errors import BadRequest, TooLarge
from ringserve.wire.oip_asked import AskedOutput
from ringserve.wire.oip_rest import RestCodec
from tests.wire.oip_bodies import (
    GOOD,
    IN_JSON,
    NUMBERS,
    ONE,
    TWO,
    Array,
    arrays,
    body_of,
    given_input,
    model,
    tensor,
)


@given(arrays(IN_JSON), st.booleans(), st.text(min_size=1))
def test_an_input_in_json_flat_or_nested_gives_its_bytes(
    case: tuple[DType, Array], nested: bool, name: str
) -> None:
    dtype, array = case
    codec = RestCodec(model(tensor(name, dtype, *[None] * array.ndim)))
    data = array.tolist() if nested else array.reshape(-1).tolist()
    body, _ = body_of(given_input(name, array, dtype, data=data), id="r")
    request = codec.decode(body, None)
    assert request.payload == array.tobytes()
    assert request.request_id == "r"
    assert request.signature.inputs[0].shape == array.shape


@given(arrays(NUMBERS), arrays(NUMBERS), st.booleans())
def test_binary_inputs_come_in_the_order_of_the_request(
    first: tuple[DType, Array], second: tuple[DType, Array], turned: bool
) -> None:
    spec = model(
        tensor("a", first[0], *[None] * first[1].ndim),
        tensor("b", second[0], *[None] * second[1].ndim),
        batching=False,
    )
    cases = [("a", *first), ("b", *second)]
    if turned:
        cases.reverse()
    inputs = [
        given_input(name, array, dtype, parameters={"binary_data_size": array.nbytes})
        for name, dtype, array in cases
    ]
    behind = b"".join(array.tobytes() for _name, _dtype, array in cases)
    request = RestCodec(spec).decode(*body_of(*inputs, behind=behind))
    assert request.payload == first[1].tobytes() + second[1].tobytes()
    assert [layout.name for layout in request.signature.inputs] == ["a", "b"]


def test_json_and_binary_inputs_may_be_mixed() -> None:
    body, size = body_of(
        {"name": "ids", "datatype": "INT64", "shape": [1, 3], "data": [2**63 - 1, -(2**63), 1.0]},
        {"name": "a/b", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}},
        behind=struct.pack("<2f", 1, 2),
    )
    assert RestCodec(TWO).decode(body, size).payload == struct.pack("<2f3q", 1, 2, 2**63 - 1, -(2**63), 1)


def test_a_body_without_json_is_the_only_input() -> None:
    request = RestCodec(ONE).decode(struct.pack("<6f", *range(6)), 0)
    assert request.signature.inputs[0].shape == (3, 2)
    assert request.outputs == (AskedOutput(binary=True, top=0),)
    for codec, body in ((RestCodec(TWO), bytes(8)), (RestCodec(ONE), bytes(7))):
        with pytest.raises(BadRequest, match="send JSON"):
            codec.decode(body, 0)


def test_requests_of_one_shape_share_their_signature() -> None:
    codec = RestCodec(ONE)
    first, second, other = (
        codec.decode(
            body_of(given_input("x", np.zeros((rows, 2)), DType.FP32, data=[0.0] * 2 * rows))[0], None
        )
        for rows in (1, 1, 2)
    )
    assert first.signature is second.signature is not other.signature
    assert other.signature.rows == 2


def test_all_outputs_by_name_are_the_same_request_as_none() -> None:
    outputs = (tensor("y", DType.FP32, "n", 2), tensor("z", DType.INT64, "n"))
    codec = RestCodec(model(tensor("x", DType.FP32, "n", 2), outputs=outputs))
    x = given_input("x", np.zeros((1, 2)), DType.FP32, data=[0, 0])

    def asked(*names: str, **fields: Any) -> Any:  # noqa: ANN401
        return codec.decode(body_of(x, outputs=[{"name": name} for name in names], **fields)[0], None)

    assert asked().signature is asked("y", "z").signature
    assert asked("z", "y").signature.outputs == ("z", "y")
    assert asked("z").signature.outputs == ("z",)
    assert [one.binary for one in asked(parameters={"binary_data_output": True}).outputs] == [True, True]


WRONG: dict[str, tuple[object, str]] = {
    "no object": ([], "the body must be an object"),
    "no inputs": ({}, "inputs is missing"),
    "inputs no list": ({"inputs": {}}, "inputs must be a list, got an object"),
    "an input no object": ({"inputs": [1]}, r"inputs\[0\] must be an object with a name"),
    "no name": ({"inputs": [{"shape": [1]}]}, r"inputs\[0\] must be an object with a name"),
    "an unknown input": ({"inputs": [GOOD | {"name": "q"}]}, r"takes the inputs \['x'\], not 'q'"),
    "an input twice": ({"inputs": [GOOD, GOOD]}, "input x is given twice"),
    "an input missing": ({"inputs": []}, r"inputs \['x'\]; \['x'\] is missing"),
    "another type": (
        {"inputs": [GOOD | {"datatype": "INT64"}]},
        "takes datatype FP32, got the string 'INT64'",
    ),
    "no type": (
        {"inputs": [{"name": "x", "shape": [1, 2], "data": [1, 2]}]},
        "takes datatype FP32, got null",
    ),
    "no shape": ({"inputs": [{"name": "x", "datatype": "FP32", "data": [1]}]}, "shape of input x must be"),
    "a shape of fractions": ({"inputs": [GOOD | {"shape": [1.0, 2]}]}, "shape of input x must be"),
    "a negative size": ({"inputs": [GOOD | {"shape": [-1, 2]}]}, "shape of input x must be"),
    "a boolean size": ({"inputs": [GOOD | {"shape": [True, 2]}]}, "shape of input x must be"),
    "another rank": ({"inputs": [GOOD | {"shape": [2]}]}, r"has shape \[n, 2\], got \[2\]"),
    "another dimension": ({"inputs": [GOOD | {"shape": [2, 1]}]}, r"has shape \[n, 2\], got \[2, 1\]"),
    "too few numbers": ({"inputs": [GOOD | {"data": [1]}]}, "data must have 2 elements, got 1"),
    "too many numbers": ({"inputs": [GOOD | {"data": [1, 2, 3]}]}, "data must have 2 elements, got 3"),
    "too many rows": ({"inputs": [GOOD | {"data": [[1, 2], [1, 2]]}]}, "data must have 1 lists, got 2"),
    "ragged": ({"inputs": [GOOD | {"data": [[1]]}]}, "data of input x is ragged"),
    "half nested": (
        {"inputs": [GOOD | {"data": [1, [2]]}]},
        r"data of input x\[1\] must be a number, got a list",
    ),
    "a string": (
        {"inputs": [GOOD | {"data": [1, "2"]}]},
        r"data of input x\[1\] must be a number, got the string",
    ),
    "a boolean": ({"inputs": [GOOD | {"data": [True, 1]}]}, r"x\[0\] must be a number, got the boolean true"),
    "null": ({"inputs": [GOOD | {"data": [None, 1]}]}, r"x\[0\] must be a number, got null"),
    "no data": (
        {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2]}]},
        "must be a list of 2 elements",
    ),
    "beyond float32": ({"inputs": [GOOD | {"data": [1e39, 1]}]}, "which FP32 cannot hold"),
    "parameters no object": (
        {"inputs": [GOOD], "parameters": 1},
        "parameters of the request must be an object",
    ),
    "a flag no boolean": (
        {"inputs": [GOOD], "parameters": {"binary_data_output": 1}},
        "must be true or false",
    ),
    "a timeout no number": ({"inputs": [GOOD], "parameters": {"timeout": "1"}}, "microseconds"),
    "an id no string": ({"inputs": [GOOD], "id": 5}, "id must be a string, got 5"),
    "outputs no list": ({"inputs": [GOOD], "outputs": "y"}, "outputs must be a list"),
    "an output no object": (
        {"inputs": [GOOD], "outputs": ["y"]},
        r"outputs\[0\] must be an object with a name",
    ),
    "an unknown output": (
        {"inputs": [GOOD], "outputs": [{"name": "q"}]},
        r"is none of model m, which gives \['y'\]",
    ),
    "an output twice": ({"inputs": [GOOD], "outputs": [{"name": "y"}] * 2}, "output y is asked for twice"),
    "classes no number": (
        {"inputs": [GOOD], "outputs": [{"name": "y", "parameters": {"classification": True}}]},
        "parameter classification of output y must be a number of classes",
    ),
    "binary without the header": (
        {
            "inputs": [
                {"name": "x", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}}
            ]
        },
        "Inference-Header-Content-Length, which tells where the JSON ends, is missing",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_body_is_refused_with_what_is_wrong(case: str) -> None:
    value, sentence = WRONG[case]
    with pytest.raises(BadRequest, match=sentence):
        RestCodec(ONE).decode(json.dumps(value).encode(), None)


@pytest.mark.parametrize(
    ("size", "behind", "sentence"),
    [
        (8, bytes(7), "the body ends 1 bytes too soon"),
        (8, bytes(9), r"model m: the inputs \['x'\] have 8 bytes behind the JSON, got 9"),
        (7, bytes(7), "has 8 bytes, got binary_data_size 7"),
        (True, b"", "has 8 bytes, got binary_data_size the boolean"),
        ("8", bytes(8), "got binary_data_size the string"),
        (None, bytes(8), "must be a list of 2 elements"),
    ],
)
def test_wrong_binary_sizes_are_refused(size: object, behind: bytes, sentence: str) -> None:
    x = {"name": "x", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": size}}
    with pytest.raises(BadRequest, match=sentence):
        RestCodec(ONE).decode(*body_of(x, behind=behind))


def test_other_wrongs_around_the_json_are_refused() -> None:
    codec = RestCodec(ONE)
    both = {**GOOD, "parameters": {"binary_data_size": 8}}
    for body, size, sentence in (
        (b"{", None, "the body is not JSON"),
        (b'{"inputs": [NaN]}', None, "the body is not JSON"),
        (b"[" * 100_000, None, "the body is not JSON"),
        (b"{}", 3, "Inference-Header-Content-Length is 3, but the body has 2 bytes"),
        (*body_of(both, behind=bytes(8)), "has both data and binary_data_size"),
    ):
        with pytest.raises(BadRequest, match=sentence):
            codec.decode(body, size)
    with pytest.raises(TooLarge):
        codec.decode(body_of({**GOOD, "shape": [2**40, 0]})[0], None)


def test_half_floats_travel_as_bytes_only() -> None:
    codec = RestCodec(model(tensor("h", DType.FP16, "n"), outputs=(tensor("y", DType.FP16, "n"),)))
    binary: dict[str, Any] = {"parameters": {"binary_data_output": True}}
    h = {"name": "h", "datatype": "FP16", "shape": [2]}
    with pytest.raises(BadRequest, match="type FP16, which JSON cannot carry; send it as a binary tensor"):
        codec.decode(body_of({**h, "data": [1, 2]}, **binary)[0], None)
    body, size = body_of({**h, "parameters": {"binary_data_size": 4}}, behind=b"abcd", **binary)
    request = codec.decode(body, size)
    result = Result(ResultLayout((TensorLayout("y", DType.FP16, (2,)),)), b"abcd")
    assert codec.encode(request, result)[0].endswith(b"abcd")


def test_a_form_that_an_output_cannot_have_is_refused_before_the_run() -> None:
    outputs = (tensor("h", DType.FP16, "n"), tensor("b", DType.BOOL, "n"))
    codec = RestCodec(model(tensor("x", DType.FP32, "n", 2), outputs=outputs))
    classes = {"name": "b", "parameters": {"classification": 1}}
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({}, "output h has type FP16, which JSON cannot carry; ask for it as a binary tensor"),
        ({"outputs": [classes]}, "output b has type BOOL, which has no largest classes"),
    )
    for fields, sentence in cases:
        with pytest.raises(BadRequest, match=sentence):
            codec.decode(body_of(GOOD, **fields)[0], None)


def test_a_name_without_end_makes_a_short_sentence() -> None:
    for fields in (
        {"inputs": [GOOD | {"name": "q" * 100_000}]},
        {"inputs": [GOOD], "outputs": [{"name": "q" * 100_000}]},
    ):
        with pytest.raises(BadRequest) as refusal:
            RestCodec(ONE).decode(json.dumps(fields).encode(), None)
        assert len(refusal.value.message) < 300


def test_bytes_that_are_no_booleans_are_refused() -> None:
    codec = RestCodec(model(tensor("x", DType.BOOL, "n")))
    x = {"name": "x", "datatype": "BOOL", "shape": [2], "parameters": {"binary_data_size": 2}}
    assert codec.decode(*body_of(x, behind=b"\1\0")).payload == b"\1\0"
    for body, size in (body_of(x, behind=b"\1\2"), (b"\1\2", 0)):
        with pytest.raises(BadRequest, match="whose bytes are 0 or 1"):
            codec.decode(body, size)


def test_strings_are_framed_by_their_lengths() -> None:
    codec = RestCodec(model(tensor("s", DType.BYTES, "n"), tensor("x", DType.FP32, "n", 2)))
    raw = b"\1\0\0\0a\0\0\0\0"
    s = {"name": "s", "datatype": "BYTES", "shape": [2], "parameters": {"binary_data_size": len(raw)}}
    x = {"name": "x", "datatype": "FP32", "shape": [2, 2], "data": [1, 2, 3, 4]}
    request = codec.decode(*body_of(s, x, behind=raw))
    assert request.payload == raw + struct.pack("<4f", 1, 2, 3, 4)
    assert (
        request.payload
        == codec.decode(body_of({**s, "parameters": {}, "data": ["a", ""]}, x)[0], None).payload
    )
    for wrong in (raw[:-1] + b"\1", b"\2" + raw[1:], bytes(9)):
        with pytest.raises(BadRequest, match=r"model m: input s of type BYTES and shape \[2\] has "):
            codec.decode(*body_of(s, x, behind=wrong))


def test_shared_memory_is_refused_by_name() -> None:
    x = {"name": "x", "datatype": "FP32", "shape": [1, 2], "parameters": {"shared_memory_region": "r"}}
    with pytest.raises(BadRequest, match="names shared memory"):
        RestCodec(ONE).decode(body_of(x)[0], None)
