from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringserve.core.signature import Result, ResultLayout, TensorLayout
from ringserve.core.tensor import Dim, DType, ModelSpec, TensorSpec
from ringserve.errors import BadRequest, ModelFailed, NotFinite
from ringserve.wire.infer_json import InferCodec


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
    for one in (codec(inputs=2), codec(dtype=DType.BYTES), codec(inputs=0)):
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
