from __future__ import annotations

import json
import struct

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringserve.core.byte_strings import join
from ringserve.core.signature import Result, ResultLayout, TensorLayout
from ringserve.core.tensor import Dim, DType, ModelSpec, TensorSpec
from ringserve.errors import BadRequest, ModelFailed, NotFinite, TooLarge
from ringserve.limits import TENSOR_ELEMENTS_MAX
from ringserve.wire.infer_json import InferCodec, decode_infer


def codec(shape: tuple[Dim, ...] = ("b", 3), dtype: DType = DType.FP32, inputs: int = 1) -> InferCodec:
    tensors = tuple(TensorSpec(f"x{number}", dtype, shape) for number in range(inputs))
    return InferCodec(ModelSpec("m", "1", "d", tensors, (), True, 32, True, "cpu"))


numbers = st.lists(st.floats(-1e30, 1e30) | st.integers(-(2**40), 2**40), min_size=3, max_size=3)


@given(numbers)
def test_the_fast_way_equals_the_strict_way(data: list[float]) -> None:
    body = json.dumps({"request_id": "r", "input_data": data}).encode()
    one = codec()
    strict, fast = one.decode(body), one.decode(body)
    assert strict.payload == fast.payload == struct.pack("<3f", *data)
    assert strict.signature is fast.signature
    assert fast.signature.inputs[0].shape == (1, 3)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b'{"input_data": [NaN, 1, 2]}', "not JSON"),
        (b"[1]", "must be an object"),
        (b"{}", "input_data is missing"),
        (b'{"input_data": 5}', "got a number"),
        (b'{"input_data": null}', "got null"),
        (b'{"input_data": "abc"}', "got a string"),
        (b'{"input_data": {}}', "got an object"),
        (b'{"input_data": [1, 2]}', r"x0 has shape \[3\]: expected 3 numbers, got 2"),
        (b'{"input_data": [1, 2, true]}', r"input_data\[2\] must be a number, got the boolean true"),
        (b'{"input_data": [1, 2, "3"]}', "got the string"),
        (b'{"input_data": [1, 2, null]}', "got null"),
        (b'{"input_data": [1, 2, {}]}', "got an object"),
        (b'{"input_data": [1, 2, [3]]}', "got a list"),
        (b'{"input_data": [1, 2, 1e39]}', "which FP32 cannot hold"),
        (b'{"input_data": [[1], [2], [3]]}', "nested as"),
        (b'{"request_id": 5, "input_data": [1, 2, 3]}', "request_id must be a string, got a number"),
        (b'{"request_id": true, "input_data": [1, 2, 3]}', "got a boolean"),
    ],
)
def test_bad_input_is_told_what_is_wrong_before_and_after_a_good_one(body: bytes, sentence: str) -> None:
    one = codec()
    for _ in range(2):
        with pytest.raises(BadRequest, match=sentence):
            one.decode(body)
        assert one.decode(b'{"input_data": [1, 2, 3]}').request_id is None


def test_of_duplicate_keys_the_last_counts_and_unknown_fields_are_ignored() -> None:
    request = codec().decode(b'{"input_data": [9], "x": {"true": true}, "input_data": [1, 2, 3]}')
    assert request.payload == struct.pack("<3f", 1, 2, 3)


def test_a_model_that_one_list_cannot_describe_points_to_v2() -> None:
    for one in (codec(inputs=2), codec(dtype=DType.BF16), codec(inputs=0)):
        with pytest.raises(BadRequest, match="/v2"):
            one.decode(b'{"input_data": [1, 2, 3]}')


def test_a_model_without_batch_axis_keeps_its_shape() -> None:
    assert codec(shape=(3,)).decode(b'{"input_data": [1, 2, 3]}').signature.inputs[0].shape == (3,)


def answer(values: list[float], dtype: DType = DType.FP32) -> Result:
    layout = ResultLayout((TensorLayout("y", dtype, (1, len(values))),))
    kind = dtype.numpy
    return Result(layout, np.array(values, kind).tobytes() if kind is not None else b"")


def test_an_answer_carries_the_fields_of_the_route() -> None:
    body = codec().encode(answer([0.1, -2.0]), 'a"b', "w", True, 12)
    assert json.loads(body) == {
        "request_id": 'a"b',
        "output_data": [0.1, -2.0],
        "node_id": "w",
        "cached": True,
        "inference_time_us": 12,
    }


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_an_answer_json_cannot_carry_points_to_binary(value: float) -> None:
    with pytest.raises(NotFinite, match="binary"):
        codec().encode(answer([1.0, value]), "r", "w", False, 1)


def test_an_output_without_a_json_form_points_to_v2() -> None:
    with pytest.raises(ModelFailed, match="/v2"):
        codec().encode(answer([], DType.BF16), "r", "w", False, 1)


def test_a_flood_of_shapes_keeps_the_tables_bounded() -> None:
    one = codec(shape=("b", None))
    for size in range(1, 300):
        one.decode(json.dumps({"input_data": [0] * size}).encode())
    assert len(one._shapes) == len(one._nested) == 256


TYPES = [dtype for dtype in DType if dtype.code]
elements: st.SearchStrategy[object] = (
    st.integers(-300, 300)
    | st.integers(-(2**70), 2**70)
    | st.floats(-300, 300).map(round).map(float)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([True, False, None, "1", "true", [], [1], {}])
)


def told(one: InferCodec, body: bytes) -> bytes | str:
    """What a caller gets for a body: its bytes, or a sentence."""
    try:
        return one.decode(body).payload
    except BadRequest as error:
        return error.message


@given(st.sampled_from(TYPES), st.lists(elements, min_size=3, max_size=3))
def test_whatever_the_type_and_the_input_a_codec_that_knows_the_shape_says_the_same(
    dtype: DType, data: list[object]
) -> None:
    body = json.dumps({"input_data": data}).encode()
    fresh, used = codec(dtype=dtype), codec(dtype=dtype)
    used.decode(b'{"input_data": [1, 2, 3]}')
    assert used._shapes
    assert told(fresh, body) == told(used, body)


@pytest.mark.parametrize("dtype", TYPES)
def test_each_type_that_a_list_can_carry_is_packed_as_numpy_does(dtype: DType) -> None:
    kind = dtype.numpy
    assert kind is not None
    expected = np.array([1, 0, 100], kind).tobytes()
    one = codec(dtype=dtype)
    for body in (b'{"input_data": [1, 0, 100]}', b'{"input_data": [1.0, -0, 100]}'):
        assert one.decode(body).payload == one.decode(body).payload == expected


def test_nested_lists_are_the_same_request_as_flat_ones() -> None:
    one = codec(shape=("b", 2, 2))
    nested = [one.decode(b'{"input_data": [[1, 2], [3, 4]]}') for _ in range(2)]
    flat = one.decode(b'{"input_data": [1, 2, 3, 4]}')
    assert all(request.signature is flat.signature for request in nested)
    assert all(request.payload == flat.payload for request in nested)


def test_more_elements_than_a_tensor_may_have_is_too_large() -> None:
    """Only the first of the lists is long: how ragged they are does not matter any more."""
    lists = b"[" + b",".join([b"0"] * 2**13) + b"]" + b",[]" * 2**13
    with pytest.raises(TooLarge, match=f"{TENSOR_ELEMENTS_MAX} elements at most"):
        codec(shape=("b", None, None)).decode(b'{"input_data": [' + lists + b"]}")


def test_a_codec_answers_for_every_worker_that_is_named() -> None:
    one = codec()
    names = ["w", "w", 'v"', "w"]
    answers = [json.loads(one.encode(answer([1.0]), "r", name, False, 1)) for name in names]
    assert [said["node_id"] for said in answers] == names
    assert not any(said["cached"] for said in answers)


@pytest.mark.parametrize("dtype", [DType.BOOL, *TYPES])
def test_answers_of_each_type_are_json_and_may_be_empty(dtype: DType) -> None:
    for values in ([], [1.0, 0.0]):
        said = json.loads(codec().encode(answer(values, dtype), "r", "w", False, 1))
        assert said["output_data"] == values


texts = st.lists(st.text(max_size=9), min_size=3, max_size=3)


@given(texts)
def test_strings_for_an_input_of_strings_travel_as_utf_8(data: list[str]) -> None:
    one = codec(dtype=DType.BYTES)
    expected = join([text.encode() for text in data])
    for body in (json.dumps({"input_data": data}), json.dumps({"input_data": data}, ensure_ascii=False)):
        request = one.decode(body.encode())
        assert request.payload == expected
        assert (request.signature.inputs[0].shape, request.signature.payload_size) == ((1, 3), -1)
    nested = codec(shape=("b", 1, 3), dtype=DType.BYTES).decode(json.dumps({"input_data": [data]}).encode())
    assert nested.payload == expected


@given(st.lists(st.booleans(), min_size=3, max_size=3))
def test_booleans_for_an_input_of_booleans_are_a_byte_each(data: list[bool]) -> None:
    one = codec(dtype=DType.BOOL)
    for _ in range(2):
        assert one.decode(json.dumps({"input_data": data}).encode()).payload == bytes(data)


@pytest.mark.parametrize(
    ("dtype", "body", "sentence"),
    [
        (DType.BOOL, b'{"input_data": [true, 1, false]}', r"input_data\[1\] must be true or false, got 1"),
        (DType.BOOL, b'{"input_data": [true, "no", false]}', "must be true or false, got the string 'no'"),
        (DType.BOOL, b'{"input_data": [true]}', "expected 3 booleans, got 1"),
        (DType.BOOL, b'{"input_data": true}', "must be a list of booleans, got a boolean"),
        (DType.BYTES, b'{"input_data": ["a", 1, "b"]}', r"input_data\[1\] must be a string, got 1"),
        (DType.BYTES, b'{"input_data": ["a", null, "b"]}', "must be a string, got null"),
        (DType.BYTES, b'{"input_data": ["a", ["b"], "c"]}', "must be a string, got a list"),
        (DType.BYTES, b'{"input_data": ["a", "b"]}', "expected 3 strings, got 2"),
        (DType.BYTES, b'{"input_data": "abc"}', "must be a list of strings, got a string"),
        (DType.BYTES, b'{"request_id": "x"}', "input_data is missing: it must be a list of strings"),
        (DType.BYTES, b'{"input_data": ["\xff"]}', "not JSON"),
        (DType.FP32, b'{"input_data": ["1", "2", "3"]}', "must be a number, got the string '1'"),
    ],
)
def test_what_is_not_of_the_inputs_kind_is_named(dtype: DType, body: bytes, sentence: str) -> None:
    one = codec(dtype=dtype)
    for _ in range(2):
        with pytest.raises(BadRequest, match=sentence):
            one.decode(body)


@given(texts)
def test_strings_in_an_answer_are_those_of_its_first_output(data: list[str]) -> None:
    layouts = (TensorLayout("y", DType.BYTES, (1, 3)), TensorLayout("z", DType.BYTES, (1,)))
    payload = join([text.encode() for text in [*data, "other"]])
    one = codec()
    for _ in range(2):
        said = json.loads(one.encode(Result(ResultLayout(layouts), payload), "r", "w", False, 1))
        assert said["output_data"] == data


def test_bytes_in_an_answer_that_are_no_text_point_to_binary() -> None:
    layout = ResultLayout((TensorLayout("y", DType.BYTES, (1,)),))
    with pytest.raises(ModelFailed, match=r"output y holds bytes that are no UTF-8.*binary"):
        codec().encode(Result(layout, join([b"\xff"])), "r", "w", False, 1)


def test_the_bytes_of_an_answer_are_pinned() -> None:
    assert codec().encode(answer([0.1, 2.0]), "r", "w", False, 7) == (
        b'{"request_id":"r","output_data":[0.1,2.0],"node_id":"w","cached":false,"inference_time_us":7}'
    )


def test_a_first_dimension_that_belongs_to_the_item_is_one_row() -> None:
    request = codec(shape=(3, 2)).decode(b'{"input_data": [1, 2, 3, 4, 5, 6]}')
    assert (request.signature.inputs[0].shape, request.signature.rows) == ((3, 2), 1)


def test_a_body_is_read_for_the_model_and_the_version_that_it_names() -> None:
    asked = []

    def choose(model: str = "", version: str = "") -> InferCodec:
        asked.append((model, version))
        return one

    one = codec()
    body = b'{"input_data": [1, 2, 3]}'
    plain = one.decode(body)
    for fields, expected in [
        ({}, ("", "")),
        ({"model": "m"}, ("m", "")),
        ({"model": "m", "model_version": "1"}, ("m", "1")),
        ({"model_version": "1"}, ("", "1")),
    ]:
        _, request = decode_infer(choose, orjson.dumps({"input_data": [1, 2, 3], **fields}))
        assert asked.pop() == expected
        assert (request.payload, request.signature.inputs) == (plain.payload, plain.signature.inputs)
        assert (request.signature.model, request.signature.version) == ("m", expected[1])
        assert request.signature.rows == plain.signature.rows


@pytest.mark.parametrize("field", ["model", "model_version"])
def test_a_codec_by_itself_refuses_a_body_that_names_a_model(field: str) -> None:
    with pytest.raises(BadRequest, match="the body names a model; this is the codec of m alone"):
        codec().decode(orjson.dumps({"input_data": [1, 2, 3], field: "m"}))


@pytest.mark.parametrize("field", ["model", "model_version"])
def test_a_model_is_named_by_a_string(field: str) -> None:
    with pytest.raises(BadRequest, match=f"{field} must be a string, got a number"):
        decode_infer(lambda _model="", _version="": codec(), orjson.dumps({"input_data": [1], field: 3}))
