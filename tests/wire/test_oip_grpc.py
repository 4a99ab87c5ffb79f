"""ModelInfer's messages, read and written, held against numpy and against REST."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringserve.core.byte_strings import join
from ringserve.core.signature import Result, ResultLayout, TensorLayout
from ringserve.core.tensor import DType, ModelSpec, TensorSpec
from ringserve.errors import BadRequest, NotFound
from ringserve.wire.oip_grpc import GrpcCodec, request_id_of, stream_answer, stream_error
from ringserve.wire.oip_rest import RestCodec
from ringserve.wire.proto.messages import InferRequest, InferResponse, StreamResponse


def model(*inputs: TensorSpec) -> ModelSpec:
    outputs = (TensorSpec("y", DType.FP32, ("n", 2)), TensorSpec("s", DType.BYTES, ("n",)))
    return ModelSpec("m", "1", "d", inputs, outputs, True, 8, True, "cpu")


TWO = model(TensorSpec("a", DType.FP32, ("n", 2)), TensorSpec("ids", DType.INT64, ("n", 1)))
WORDS = model(TensorSpec("w", DType.BYTES, ("n", 2)))
A = np.array([[1, 2]], "<f4").tobytes()
IDS = np.array([[7]], "<i8").tobytes()


def asking(*inputs: tuple[str, str, list[int]], raws: tuple[bytes, ...] = (), **more: object) -> Any:  # noqa: ANN401 - a message
    message = InferRequest(**{"model_name": "m", "raw_input_contents": raws, **more})
    for name, datatype, shape in inputs:
        message.inputs.add(name=name, datatype=datatype, shape=shape)
    return message


def both(**more: object) -> Any:  # noqa: ANN401 - a message
    return asking(("ids", "INT64", [1, 1]), ("a", "FP32", [1, 2]), raws=(IDS, A), **more)


def refusal(spec: ModelSpec, message: Any) -> str:  # noqa: ANN401 - a message
    with pytest.raises(BadRequest) as caught:
        GrpcCodec(spec).decode(message.SerializeToString())
    return caught.value.message


def test_tensors_are_put_into_the_models_order() -> None:
    codec = GrpcCodec(TWO)
    for number in range(3):
        request = codec.decode(both(id=str(number)).SerializeToString())
        assert request.payload == A + IDS
        assert request.request_id == str(number).encode()
        assert [layout.name for layout in request.signature.inputs] == ["a", "ids"]


def test_the_signature_is_the_one_that_rest_makes() -> None:
    inputs = [
        {"name": "a", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]},
        {"name": "ids", "datatype": "INT64", "shape": [1, 1], "data": [7]},
    ]
    rest = RestCodec(TWO).decode(
        json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode(), None
    )
    grpc = GrpcCodec(TWO).decode(both().SerializeToString())
    assert (rest.signature.encoded, rest.payload) == (grpc.signature.encoded, grpc.payload)
    assert rest.signature.rows == grpc.signature.rows


def test_all_outputs_in_the_models_order_are_the_same_as_none() -> None:
    for asked, outputs in ((["y", "s"], ()), (["s", "y"], ("s", "y")), (["s"], ("s",))):
        message = both()
        for name in asked:
            message.outputs.add(name=name)
        assert GrpcCodec(TWO).decode(message.SerializeToString()).signature.outputs == outputs


@pytest.mark.parametrize(
    ("kind", "field", "values"),
    [
        ("BOOL", "bool_contents", [True, False]),
        ("INT8", "int_contents", [-128, 127]),
        ("INT16", "int_contents", [-32768, 32767]),
        ("INT32", "int_contents", [-(1 << 31), 5]),
        ("INT64", "int64_contents", [-(1 << 63), 5]),
        ("UINT8", "uint_contents", [0, 255]),
        ("UINT16", "uint_contents", [0, 65535]),
        ("UINT32", "uint_contents", [0, (1 << 32) - 1]),
        ("UINT64", "uint64_contents", [0, (1 << 64) - 1]),
        ("FP32", "fp32_contents", [0.5, -2.0]),
        ("FP64", "fp64_contents", [0.1, -2.0]),
    ],
)
def test_typed_contents_become_the_bytes_they_stand_for(kind: str, field: str, values: list[Any]) -> None:
    spec = model(TensorSpec("x", DType[kind], ("n", 2)))
    message = asking(("x", kind, [1, 2]))
    getattr(message.inputs[0].contents, field).extend(values)
    expected = np.array(values, DType[kind].numpy).tobytes()
    assert GrpcCodec(spec).decode(message.SerializeToString()).payload == expected


@pytest.mark.parametrize(
    ("kind", "field", "value"), [("INT8", "int_contents", 128), ("UINT16", "uint_contents", 65536)]
)
def test_a_number_beyond_its_type_is_refused(kind: str, field: str, value: int) -> None:
    spec = model(TensorSpec("x", DType[kind], ("n", 1)))
    message = asking(("x", kind, [1, 1]))
    getattr(message.inputs[0].contents, field).append(value)
    assert refusal(spec, message) == f"model m: input x of type {kind} cannot hold {value}"


def test_contents_in_the_wrong_field_or_number_are_refused() -> None:
    spec = model(TensorSpec("x", DType.FP32, ("n", 2)))
    message = asking(("x", "FP32", [1, 2]))
    assert "has 2 elements, got 0" in refusal(spec, message)
    message.inputs[0].contents.fp64_contents.extend([1, 2])
    assert "its elements go by fp32_contents, not fp64_contents" in refusal(spec, message)


@pytest.mark.parametrize("kind", ["FP16", "BF16"])
def test_half_floats_go_raw_only(kind: str) -> None:
    spec = model(TensorSpec("x", DType[kind], ("n", 2)))
    message = asking(("x", kind, [1, 2]))
    message.inputs[0].contents.fp32_contents.extend([1, 2])
    assert "by raw_input_contents only" in refusal(spec, message)
    raw = asking(("x", kind, [1, 2]), raws=(b"\0<\0<",))
    assert GrpcCodec(spec).decode(raw.SerializeToString()).payload == b"\0<\0<"


def test_raw_and_typed_tensors_are_not_mixed() -> None:
    message = both()
    message.inputs[1].contents.fp32_contents.extend([1, 2])
    assert "both came" in refusal(TWO, message)
    message = both()
    del message.raw_input_contents[1]
    assert refusal(TWO, message) == "model m: the inputs ['ids', 'a'] go by 2 raw_input_contents, got 1"


def test_a_raw_tensor_of_another_size_is_refused_every_time() -> None:
    codec = GrpcCodec(TWO)
    wrong = asking(("ids", "INT64", [1, 1]), ("a", "FP32", [1, 2]), raws=(IDS, A + b"\0")).SerializeToString()
    for _ in range(2):
        with pytest.raises(BadRequest, match=r"input a, FP32 of shape \[1, 2\], has 8 bytes, got 9"):
            codec.decode(wrong)
        codec.decode(both().SerializeToString())


def test_strings_go_raw_or_typed() -> None:
    raw = join([b"a", b""])
    message = asking(("w", "BYTES", [1, 2]), raws=(raw,))
    assert GrpcCodec(WORDS).decode(message.SerializeToString()).payload == raw
    typed = asking(("w", "BYTES", [1, 2]))
    typed.inputs[0].contents.bytes_contents.extend([b"a", b""])
    assert GrpcCodec(WORDS).decode(typed.SerializeToString()).payload == raw
    for bad in (raw[:-1], raw + b"x"):
        message = asking(("w", "BYTES", [1, 2]), raws=(bad,))
        assert refusal(WORDS, message).startswith("model m: input w of type BYTES")


def test_a_boolean_is_0_or_1() -> None:
    spec = model(TensorSpec("x", DType.BOOL, ("n", 2)))
    good = asking(("x", "BOOL", [1, 2]), raws=(b"\0\1",))
    assert GrpcCodec(spec).decode(good.SerializeToString()).payload == b"\0\1"
    for raw, sentence in ((b"\0\2", "input x is of booleans"), (b"\0", "has 2 bytes, got 1")):
        assert sentence in refusal(spec, asking(("x", "BOOL", [1, 2]), raws=(raw,)))


def test_what_does_not_fit_the_model_is_named() -> None:
    alone = asking(("a", "FP32", [1, 2]), raws=(A,))
    assert refusal(TWO, alone) == "model m takes the inputs ['a', 'ids']; ['ids'] is missing"
    assert "an input twice" in refusal(TWO, asking(("a", "FP32", [1, 2]), ("a", "FP32", [1, 2]), raws=(A, A)))
    assert "there are BOOL" in refusal(TWO, asking(("a", "float", [1, 2]), raws=(A,)))
    assert "takes FP32, got FP64" in refusal(
        TWO, asking(("a", "FP64", [1, 2]), ("ids", "INT64", [1, 1]), raws=(A, IDS))
    )
    assert "has shape" in refusal(TWO, asking(("a", "FP32", [2]), ("ids", "INT64", [1, 1]), raws=(A, IDS)))
    assert "input a: the shape" in refusal(TWO, asking(("a", "FP32", [-1, 2]), raws=(A,)))
    message = both()
    message.outputs.add(name="z")
    assert "gives the outputs ['y', 's'], not ['z']" in refusal(TWO, message)
    message.outputs.add(name="z")
    assert "an output twice" in refusal(TWO, message)


def test_another_model_or_version_is_not_found() -> None:
    for more in ({"model_name": "other"}, {"model_version": "2"}):
        with pytest.raises(NotFound):
            GrpcCodec(TWO).decode(both(**more).SerializeToString())
    assert GrpcCodec(TWO).decode(both(model_version="1").SerializeToString()).signature.version == "1"


@pytest.mark.parametrize("kind", ["int64_param", "uint64_param", "double_param"])
def test_the_timeout_is_a_number_of_microseconds(kind: str) -> None:
    message = both()
    setattr(message.parameters["timeout"], kind, 1500)
    message.parameters["priority"].uint64_param = 3
    message.parameters["of the caller"].string_param = "ignored"
    assert GrpcCodec(TWO).decode(message.SerializeToString()).timeout_s == 0.0015
    assert GrpcCodec(TWO).decode(both().SerializeToString()).timeout_s == 0
    for wrong, value in (("int64_param", -1), ("string_param", "1"), ("double_param", float("nan"))):
        setattr(message.parameters["timeout"], wrong, value)
        assert "microseconds" in refusal(TWO, message)


def test_shared_memory_is_refused_in_words() -> None:
    message = both()
    message.inputs[0].parameters["shared_memory_region"].string_param = "r"
    assert "shared memory is not offered" in refusal(TWO, message)
    message = both()
    message.outputs.add(name="y").parameters["shared_memory_region"].string_param = "r"
    assert "shared memory is not offered" in refusal(TWO, message)


def answer(rows: int = 1) -> Result:
    layouts = (TensorLayout("y", DType.FP32, (rows, 2)), TensorLayout("s", DType.BYTES, (rows,)))
    numbers = np.arange(2 * rows, dtype="<f4").tobytes()
    return Result(ResultLayout(layouts), numbers + join([b"word"] * rows))


def test_an_answer_is_raw_tensors_in_the_outputs_order() -> None:
    codec = GrpcCodec(TWO)
    for request_id in ("", "é" * 100):
        read = InferResponse.FromString(codec.encode(answer(2), request_id.encode()))
        assert (read.model_name, read.model_version, read.id) == ("m", "1", request_id)
        assert [(one.name, one.datatype, list(one.shape)) for one in read.outputs] == [
            ("y", "FP32", [2, 2]),
            ("s", "BYTES", [2]),
        ]
        assert list(read.raw_output_contents) == [np.arange(4, dtype="<f4").tobytes(), join([b"word"] * 2)]


def test_the_largest_classes_of_each_row_are_named() -> None:
    codec = GrpcCodec(TWO)
    message = both()
    message.outputs.add(name="y").parameters["classification"].int64_param = 1
    message.outputs.add(name="s")
    request = codec.decode(message.SerializeToString())
    read = InferResponse.FromString(codec.encode(answer(2), b"", request.tops))
    assert [(one.datatype, list(one.shape)) for one in read.outputs] == [("BYTES", [2, 1]), ("BYTES", [2])]
    assert read.raw_output_contents[0] == join([b"1.000000:1", b"3.000000:1"])
    message.outputs[0].parameters["classification"].string_param = "two"
    assert "a number of classes" in refusal(TWO, message)


def test_an_output_without_largest_classes_is_refused_before_anything_is_run() -> None:
    message = both()
    message.outputs.add(name="s").parameters["classification"].int64_param = 1
    assert refusal(TWO, message) == "model m: output s has type BYTES, which has no largest classes"


def test_a_stream_carries_answers_and_errors() -> None:
    codec = GrpcCodec(TWO)
    read = StreamResponse.FromString(stream_answer(codec.encode(answer(100), b"7")))
    assert (read.error_message, read.infer_response.id) == ("", "7")
    assert len(read.infer_response.raw_output_contents) == 2
    failed = StreamResponse.FromString(stream_error("no", request_id_of(both(id="8").SerializeToString())))
    assert (failed.error_message, failed.infer_response.id) == ("no", "8")
    assert request_id_of(b"\xff\xff") == b""


@given(data=st.binary(max_size=100))
def test_any_bytes_are_refused_in_words(data: bytes) -> None:
    with pytest.raises((BadRequest, NotFound)):
        GrpcCodec(TWO).decode(data)


def test_what_callers_vary_fills_no_memory() -> None:
    codec = GrpcCodec(TWO)
    for number in range(600):
        codec.decode(
            both(model_version="1" if number % 2 else "", parameters={str(number): {}}).SerializeToString()
        )
        codec.encode(answer(), b"")
    assert len(codec._heads) <= 256
    assert len(codec._layouts) <= 256
