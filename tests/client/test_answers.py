"""What the client writes is read by the servers' own codec, and the other way round."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringserve.client import answers, calls
from ringserve.client.answers import Answer, read_inference
from ringserve.client.errors import BadAnswer
from ringserve.client.http_message import HttpAnswer
from ringserve.core.signature import Result, ResultLayout, TensorLayout
from ringserve.core.tensor import DType
from ringserve.wire.oip_rest import RestCodec
from tests.wire.oip_bodies import NUMBERS, Array, arrays, model, tensor

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "datatype", "shape", "data", "outputs"]), inner)
    ),
    max_leaves=12,
)


def answer_of(body: bytes, size: int | None = None) -> HttpAnswer:
    return HttpAnswer(200, body, size, None, True)


@settings(max_examples=50)
@given(arrays(NUMBERS), st.booleans(), st.text(max_size=5).filter(str.isprintable))
def test_a_request_is_what_the_server_reads_and_its_answer_what_the_client_reads(
    drawn: tuple[DType, Array], in_json: bool, identity: str
) -> None:
    dtype, array = drawn
    axes = (None,) * array.ndim
    spec = model(tensor("a/b", dtype, *axes), outputs=(tensor("z ü", dtype, *axes),), batching=False)
    asked = calls.infer("m", {"a/b": array}, None, "1", identity, {})
    assert (asked.method, asked.path) == ("POST", "/v2/models/m/versions/1/infer")
    codec = RestCodec(spec)
    request = codec.decode(b"".join(asked.body), asked.json_size, "1")
    assert (request.payload, request.signature.inputs[0].shape) == (array.tobytes(), array.shape)
    result = Result(ResultLayout((TensorLayout("z ü", dtype, array.shape),)), request.payload)
    if in_json and dtype is not DType.FP16:
        request.outputs = tuple(one._replace(binary=False) for one in request.outputs)
    answer = read_inference(answer_of(*codec.encode(request, result)))
    assert (answer.model, answer.model_version, answer.id) == ("m", "1", identity)
    assert list(answer) == ["z ü"]
    assert answer["z ü"].dtype == array.dtype
    np.testing.assert_array_equal(answer["z ü"], array)


def test_names_are_quoted_and_outputs_are_asked_for_by_name() -> None:
    array = np.zeros((1, 2), np.float32)
    asked = calls.infer("a/b %", {"x": array}, ["z", "y"], "", "", {})
    assert asked.path == "/v2/models/a%2Fb%20%25/infer"
    fields = orjson.loads(asked.body[0])
    assert [(one["name"], one["parameters"]) for one in fields["outputs"]] == [
        ("z", {"binary_data": True}),
        ("y", {"binary_data": True}),
    ]
    assert "id" not in fields
    assert asked.headers == b""
    assert calls.infer("m", {"x": array}, None, "", "", {}, fresh=True).headers.startswith(b"Cache-Control: ")


@pytest.mark.parametrize(
    ("inputs", "datatypes", "error", "sentence"),
    [
        ({}, {}, ValueError, "without any input"),
        ({"x": [1.0]}, {}, TypeError, "must be a numpy array, got list"),
        ({"x": np.zeros(1)}, {"y": "BF16"}, ValueError, "which are none of the inputs"),
        ({"x": np.zeros(1)}, {"x": "FLOAT"}, ValueError, "there is no datatype 'FLOAT'"),
    ],
)
def test_a_wrong_use_is_told_before_anything_is_sent(
    inputs: dict[str, Any], datatypes: dict[str, str], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        calls.infer("m", inputs, None, "", "", datatypes)
    with pytest.raises(ValueError, match="needs a name"):
        calls.metadata("", "")


def test_a_scalar_of_numpy_is_an_input_without_axes() -> None:
    asked = calls.infer("m", {"x": np.float32(2)}, None, "", "", {})
    (described,) = orjson.loads(asked.body[0])["inputs"]
    assert (described["datatype"], described["shape"]) == ("FP32", [])


@given(JSON, st.binary(max_size=12), st.none() | st.integers(-1, 40))
def test_any_answer_is_read_or_is_a_bad_one(value: object, behind: bytes, size: int | None) -> None:
    for read in (read_inference, answers.read_model, answers.read_server, answers.read_index):
        for body in (orjson.dumps(value) + behind, behind):
            with suppress(BadAnswer):
                read(answer_of(body, size))


@pytest.mark.parametrize(
    "output",
    [
        {"datatype": "FP32", "shape": [2], "parameters": {"binary_data_size": 8}},
        {"datatype": "FP32", "shape": [2], "parameters": {"binary_data_size": 12}},
        {"datatype": "FP32", "shape": [2], "parameters": {"binary_data_size": -1}},
        {"datatype": "FP32", "shape": [2], "parameters": {"binary_data_size": True}},
        {"datatype": "FP32", "shape": [-2], "parameters": {"binary_data_size": 9}},
        {"datatype": "FP31", "shape": [2], "parameters": {"binary_data_size": 9}},
        {"datatype": "FP32", "shape": [3], "data": [1, 2]},
    ],
)
def test_an_output_that_does_not_fit_its_bytes_is_a_bad_answer(output: dict[str, object]) -> None:
    head = orjson.dumps({"model_name": "m", "outputs": [{"name": "y", **output}]})
    with pytest.raises(BadAnswer):
        read_inference(answer_of(head + bytes(9), len(head)))


def test_an_answer_is_a_mapping_that_shows_what_is_in_it() -> None:
    answer = Answer({"y": np.zeros((1, 2), np.float32)}, "m", "3", "")
    assert dict(answer).keys() == {"y"}
    assert len(answer) == 1
    assert repr(answer) == "<Answer of m version 3: y: float32[1, 2]>"
    with pytest.raises(KeyError):
        _ = answer["z"]


def test_what_is_no_error_of_the_protocol_is_shown_as_it_came() -> None:
    def said(body: bytes) -> str:
        return answers.sentence_of(HttpAnswer(502, body, None, None, True))

    assert said(b'{"error": "because"}') == "because"
    assert said(b"<html>Bad Gateway</html>") == "the server answered 502: <html>Bad Gateway</html>"
    assert said(b"") == "the server answered 502"
    assert said(b'{"error": ""}').startswith("the server answered 502")
