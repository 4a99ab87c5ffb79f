"""Bodies of `/v2/models/{model}/infer`, read and written, held against numpy."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ringserve.core.signature import Result, ResultLayout, TensorLayout
from ringserve.core.tensor import Dim, DType, ModelSpec, TensorSpec
from ringserve.errors import BadRequest, ModelFailed, NotFinite, TooLarge
from ringserve.wire.oip_asked import AskedOutput
from ringserve.wire.oip_rest import RestCodec

Array = npt.NDArray[np.generic]
NUMBERS = [dtype for dtype in DType if dtype.numpy is not None]
IN_JSON: list[DType] = [dtype for dtype in NUMBERS if dtype is not DType.FP16]


def tensor(name: str, dtype: DType, *shape: Dim) -> TensorSpec:
    return TensorSpec(name, dtype, shape)


def model(
    *inputs: TensorSpec, outputs: tuple[TensorSpec, ...] = (), batching: bool = True, name: str = "m"
) -> ModelSpec:
    outputs = outputs or (tensor("y", DType.FP32, "n", 2),)
    return ModelSpec(name, "1", "d", inputs, outputs, batching, 8 if batching else 1, True, "cpu")


TWO = model(tensor("a/b", DType.FP32, "n", 2), tensor("ids", DType.INT64, "n", None))
ONE = model(tensor("x", DType.FP32, "n", 2))


def given_input(name: str, array: Array, dtype: DType, **more: object) -> dict[str, object]:
    return {"name": name, "datatype": dtype.name, "shape": list(array.shape), **more}


def body_of(*inputs: Mapping[str, object], behind: bytes = b"", **fields: Any) -> tuple[bytes, int]:  # noqa: ANN401 - JSON
    head = json.dumps({"inputs": list(inputs), **fields}).encode()
    return head + behind, len(head)


@st.composite
def arrays(draw: st.DrawFn, dtypes: Sequence[DType]) -> tuple[DType, Array]:
    dtype = draw(st.sampled_from(dtypes))
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4))
    assert dtype.numpy is not None
    elements = hnp.from_dtype(dtype.numpy, allow_nan=False, allow_infinity=False)
    array: Array = draw(hnp.arrays(dtype.numpy, shape, elements=elements))
    return dtype, array


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


GOOD = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}
WRONG: dict[str, tuple[object, str]] = {
    "no object": ([], "the body must be an object"),
    "no inputs": ({}, "inputs is missing"),
    "inputs no list": ({"inputs": {}}, "inputs must be a list, got an object"),
    "an input no object": ({"inputs": [1]}, r"inputs\[0\] must be an object with a name"),
    "no name": ({"inputs": [{"shape": [1]}]}, r"inputs\[0\] must be an object with a name"),
    "an unknown input": ({"inputs": [GOOD | {"name": "q"}]}, r"takes the inputs \['x'\], not 'q'"),
    "an input twice": ({"inputs": [GOOD, GOOD]}, "input x is given twice"),
    "an input missing": ({"inputs": []}, r"\['x'\] are missing"),
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
        (8, bytes(9), "1 bytes behind the JSON belong to no input"),
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
    h = {"name": "h", "datatype": "FP16", "shape": [2]}
    with pytest.raises(BadRequest, match="type FP16, which JSON cannot carry; send it as a binary tensor"):
        codec.decode(body_of({**h, "data": [1, 2]})[0], None)
    request = codec.decode(*body_of({**h, "parameters": {"binary_data_size": 4}}, behind=b"abcd"))
    result = Result(ResultLayout((TensorLayout("y", DType.FP16, (2,)),)), b"abcd")
    with pytest.raises(
        ModelFailed, match="type FP16, which JSON cannot carry; ask for it as a binary tensor"
    ):
        codec.encode(request, result)


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
