"""Answers of `/v2/models/{model}/infer`, as a client reads them."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from ringserve.core.signature import Result, ResultLayout, TensorLayout
from ringserve.core.tensor import DType
from ringserve.errors import NotFinite
from ringserve.wire.oip_answer import classes_of
from ringserve.wire.oip_rest import RestCodec
from tests.wire.oip_bodies import (
    GOOD,
    IN_JSON,
    NUMBERS,
    Array,
    arrays,
    body_of,
    given_input,
    model,
    tensor,
)


def answer(
    array: Array, dtype: DType, asked: dict[str, object], *, batching: bool = True
) -> tuple[Any, bytes]:
    """What a client reads: the JSON of its only output, and the bytes behind it."""
    out = tensor("y", dtype, *[None] * array.ndim)
    codec = RestCodec(model(tensor("x", DType.FP32, "n", 2), outputs=(out,), batching=batching))
    x = given_input("x", np.zeros((1, 2)), DType.FP32, data=[0, 0])
    request = codec.decode(body_of(x, id="r", outputs=[{"name": "y", "parameters": asked}])[0], None)
    result = Result(ResultLayout((TensorLayout("y", dtype, array.shape),)), array.tobytes())
    body, size = codec.encode(request, result)
    read = json.loads(body[:size])
    assert (read["model_name"], read["model_version"], read["id"]) == ("m", "1", "r")
    (output,) = read["outputs"]
    assert output["name"] == "y"
    assert (size is not None) == bool(asked.get("binary_data"))
    return output, b"" if size is None else body[size:]


@given(arrays(IN_JSON))
def test_an_output_in_json_is_flat_and_exact(case: tuple[DType, Array]) -> None:
    dtype, array = case
    output, _ = answer(array, dtype, {})
    assert (output["datatype"], output["shape"]) == (dtype.name, list(array.shape))
    assert np.array(output["data"], dtype.numpy).tobytes() == array.tobytes()


@given(arrays(NUMBERS))
def test_a_binary_output_has_its_size_and_no_other_parameter(case: tuple[DType, Array]) -> None:
    dtype, array = case
    output, behind = answer(array, dtype, {"binary_data": True})
    assert output["parameters"] == {"binary_data_size": array.nbytes}
    assert "data" not in output
    assert behind == array.tobytes()


def test_no_number_has_no_json_but_has_bytes() -> None:
    array = np.array([np.nan, np.inf], "<f4")
    with pytest.raises(NotFinite, match="binary_data: true"):
        answer(array, DType.FP32, {})
    assert answer(array, DType.FP32, {"binary_data": True})[1] == array.tobytes()


def test_the_largest_classes_of_each_row_are_named() -> None:
    array = np.array([[0.5, 2, 1], [7, 7, -1]], "<f4")
    output, _ = answer(array, DType.FP32, {"classification": 2})
    assert (output["datatype"], output["shape"]) == ("BYTES", [2, 2])
    assert output["data"] == ["2.000000:1", "1.000000:2", "7.000000:0", "7.000000:1"]
    output, behind = answer(array, DType.FP32, {"classification": 9, "binary_data": True}, batching=False)
    assert output["shape"] == [6]
    assert behind.startswith(struct.pack("<I", 10) + b"7.000000:3")
    output, _ = answer(np.zeros((0, 3), "<f4"), DType.FP32, {"classification": 2})
    assert (output["shape"], output["data"]) == ([0, 2], [])
    large = np.array([2**60, 2**60 + 1], "<i8")
    output, _ = answer(large, DType.INT64, {"classification": 1}, batching=False)
    assert output["data"] == [f"{2**60 + 1}:1"]
    output, _ = answer(large, DType.INT64, {"classification": 1})
    assert (output["shape"], len(output["data"])) == ([2, 1], 2)


def test_a_class_that_has_a_label_is_named_by_it_too() -> None:
    spec = replace(model(tensor("x", DType.FP32, "n", 2)), labels=("cat", "a:dog"))
    layout = TensorLayout("y", DType.FP32, (1, 3))
    _, strings = classes_of(spec, layout, np.array([3, 2, 1], "<f4").tobytes(), 9)
    assert strings == ["3.000000:0:cat", "2.000000:1:a:dog", "1.000000:2"]
    _, strings = classes_of(spec, TensorLayout("y", DType.FP32, (1, 1)), np.array([3], "<f4").tobytes(), 9)
    assert strings == ["3.000000:0:cat"]


def test_outputs_stand_in_the_order_asked_with_their_bytes_behind() -> None:
    outputs = (tensor("y", DType.FP32, "n"), tensor("z", DType.INT64, "n"), tensor("w", DType.BOOL, "n"))
    codec = RestCodec(model(tensor("x", DType.FP32, "n", 2), outputs=outputs))
    asked = [
        {"name": "z", "parameters": {"binary_data": True}},
        {"name": "w", "parameters": {"binary_data": False}},
        {"name": "y"},
    ]
    body, _ = body_of(GOOD, outputs=asked, parameters={"binary_data_output": True, "else": 1})
    request = codec.decode(body, None)
    layout = ResultLayout(
        (
            TensorLayout("z", DType.INT64, (1,)),
            TensorLayout("w", DType.BOOL, (1,)),
            TensorLayout("y", DType.FP32, (1,)),
        )
    )
    z, w, y = struct.pack("<q", 5), b"\x01", struct.pack("<f", 2)
    written, size = codec.encode(request, Result(layout, z + w + y))
    assert written[size:] == z + y
    assert json.loads(written[:size])["outputs"][1] == {
        "name": "w",
        "datatype": "BOOL",
        "shape": [1],
        "data": [True],
    }
