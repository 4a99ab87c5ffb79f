"""What is fuzzed: each target takes any bytes and fails if a promise about them is broken."""

from __future__ import annotations

import math
from collections.abc import Callable
from struct import unpack

import orjson

from ringserve.core.byte_strings import find_ends
from ringserve.core.signature import Result, ResultLayout, Signature, TensorLayout
from ringserve.core.signatures import Signatures, check
from ringserve.core.tensor import DType, ModelSpec, TensorSpec, count_elements
from ringserve.errors import ANSWERS, BadRequest, NotFound, ServeError, TooLarge
from ringserve.wire import control, hello, records
from ringserve.wire.frames import FROM_GATEWAY, FROM_WORKER, FrameReader, Kind, LinkError, frame
from ringserve.wire.infer_json import InferCodec
from ringserve.wire.nested import item_shape_of, pack_numbers
from ringserve.wire.oip_grpc import GrpcCodec, GrpcRequest, request_id_of, stream_error
from ringserve.wire.oip_grpc_split import model_of, split
from ringserve.wire.oip_rest import RestCodec
from ringserve.wire.proto.messages import InferRequest, InferResponse, StreamResponse

FRAME_MAX = 1 << 16


def spec_of(dtype: DType, *shape: int | str | None) -> ModelSpec:
    """A model with one input."""
    return ModelSpec("m", "1", "d", (TensorSpec("x", dtype, shape),), (), False, 1, True, "cpu")


SPECS = (
    spec_of(DType.FP32, "b", 3),
    spec_of(DType.INT64, "b", "n"),
    spec_of(DType.UINT8, "b", 2, 2),
    spec_of(DType.FP16, "b", None, None),
    spec_of(DType.FP64, "b"),
    spec_of(DType.INT8, 3),
    spec_of(DType.UINT64, "b", "n", 0),
    spec_of(DType.INT32),
)
OIP_SPECS = (
    ModelSpec(
        "m",
        "1",
        "d",
        (TensorSpec("x", DType.FP32, ("b", 2)), TensorSpec("i", DType.INT64, ("b",))),
        (TensorSpec("y", DType.FP32, ("b", 2)), TensorSpec("z", DType.FP32, ("b", 2))),
        True,
        8,
        True,
        "cpu",
    ),
    ModelSpec(
        "m",
        "1",
        "d",
        (TensorSpec("x", DType.BOOL, (None, None)),),
        (TensorSpec("y", DType.FP32, ("b", 2)),),
        False,
        1,
        True,
        "cpu",
    ),
)
GRPC_SPECS = (
    OIP_SPECS[0],
    ModelSpec(
        "m",
        "1",
        "d",
        (TensorSpec("w", DType.BYTES, ("b", 2)), TensorSpec("h", DType.INT8, ("b", None))),
        (TensorSpec("y", DType.FP32, ("b", 2)),),
        True,
        8,
        True,
        "cpu",
    ),
    OIP_SPECS[1],
)
GOOD = {3: b"[1,2,3]", 4: b"[1,2,3,4]", 1: b"[1]"}


def check_link(data: bytes) -> None:
    """One byte says which end reads and how the rest is cut; what comes out does not depend on the cut."""
    if not data:
        return
    worker, step, stream = data[0] & 1, (data[0] >> 1) or 1, data[1:]

    def read(size: int) -> tuple[list[tuple[int, bytes]], str]:
        reader = FrameReader(FROM_GATEWAY if worker else FROM_WORKER, FRAME_MAX)
        frames: list[tuple[int, bytes]] = []
        for start in range(0, len(stream), size):
            try:
                frames += reader.feed(stream[start : start + size])
            except LinkError as error:
                return frames, str(error)
            assert len(reader._buffer) < FRAME_MAX + 5 + size
        return frames, ""

    (whole, why), (parts, other) = read(len(stream) or 1), read(step)
    assert why == other, (why, other)
    assert why or whole == parts
    for kind, body in parts:
        read_body(kind, body)
        assert frame(Kind(kind), body) in stream


def read_body(kind: int, body: bytes) -> None:
    """Read what a frame carries, and write it again."""
    try:
        if kind == Kind.REQUESTS:
            said = records.read_requests(body)
            again = [
                records.request_head(
                    row.id,
                    row.left_ms / 1000,
                    row.key,
                    row.signature,
                    row.payload,
                    row.model,
                    bool(row.flags & records.FRESH),
                )
                + row.signature
                + row.payload
                for row in said
            ]
            heads = b"".join(again)
            assert len(heads) == len(body)
            told = [row._replace(id=0, left_ms=0, flags=row.flags & records.FRESH) for row in said]
            got = [row._replace(id=0, left_ms=0) for row in records.read_requests(heads)]
            assert got == told
        elif kind == Kind.ANSWERS:
            _depth, answers = records.read_answers(body)
            for answer in answers:
                if answer.status >= records.FIRST_ERROR:
                    assert isinstance(records.error_of(answer), ANSWERS)
                else:
                    check_layout(answer.layout)
        elif kind == Kind.CANCEL:
            assert records.cancel_body(list(records.read_cancel(body))) == body
        elif kind == Kind.PONG:
            assert records.PONG.pack(*records.read_pong(body)) == body
        elif kind == Kind.HELLO:
            check_hello(body)
        else:
            read_rare(kind, body)
    except LinkError:
        return


def read_rare(kind: int, body: bytes) -> None:
    """The same for what does not come with requests."""
    if kind == Kind.MODELS:
        models = hello.decode_models(body)
        assert hello.decode_models(hello.encode_models(*models)) == models
    elif kind == Kind.CONTROL:
        asked = control.decode_control(body)
        assert control.decode_control(control.encode_control(asked)) == asked
    elif kind == Kind.CONTROLLED:
        outcome = control.decode_controlled(body)
        error = outcome.error()
        written = control.encode_controlled(outcome.id, error or outcome.message)
        assert control.decode_controlled(written) == outcome


def check_records(data: bytes) -> None:
    """One byte says of which kind the rest is the body."""
    if data:
        read_body(data[0] % 12, data[1:])


def check_hello(data: bytes) -> None:
    """What can be read survives being written; a model that is told can be spoken to."""
    try:
        said = hello.decode_gateway_hello(data)
        assert hello.decode_gateway_hello(hello.encode_gateway_hello(said.called)) == said
    except LinkError:
        pass
    try:
        heard = hello.decode_worker_hello(data)
    except LinkError:
        return
    assert hello.decode_worker_hello(hello.encode_worker_hello(heard)) == heard
    assert heard.credit_items >= 0
    assert heard.credit_bytes >= 0
    for offer in heard.offers:
        try:
            InferCodec(offer.spec).decode(b'{"input_data":[1]}')
        except ServeError:
            continue


def check_signature(data: bytes) -> None:
    """A signature that can be read is bounded, and is read the same once it is written."""
    try:
        signature = Signature.decode(data)
    except ValueError:
        signature = None
    if signature is not None:
        assert Signature.decode(signature.encoded).encoded == signature.encoded
        assert signature.payload_size < 2**34 * 1024
        assert len(signature.digest(b"")) == 16
        for spec in SPECS:
            try:
                known = Signatures(spec).find(data)
            except BadRequest:
                continue
            assert 0 <= known.rows <= max(1, known.payload_size)
    check_layout(data)


def check_layout(data: bytes) -> None:
    """The same for an answer's layout."""
    try:
        layout = ResultLayout.decode(data)
    except ValueError:
        return
    assert ResultLayout.decode(layout.encoded).encoded == layout.encoded
    size = sum(tensor.byte_size for tensor in layout.outputs)
    if size > 1 << 20 or any(not tensor.dtype.size for tensor in layout.outputs):
        return
    try:
        said = InferCodec(SPECS[0]).encode(Result(layout, bytes(size)), "r", "w", False, 1)
    except ServeError:
        return
    assert len(orjson.loads(said)["output_data"]) == count_elements(layout.outputs[0].shape)


def sentence_of(error: ServeError) -> str:
    """What the caller reads: some words, however long the input was."""
    assert 0 < len(error.message.encode("utf-8", "replace")) < 1000, error.message
    return error.message


def told(codec: InferCodec, body: bytes) -> tuple[bytes, bytes] | str:
    """What a caller gets for a body: signature and payload, or a sentence."""
    try:
        request = codec.decode(body)
    except (BadRequest, TooLarge) as error:
        return sentence_of(error)
    return request.signature.encoded, request.payload


def check_infer(data: bytes) -> None:
    """One byte says the model; one that knows the shape says what a fresh one does, as does the worker."""
    if not data:
        return
    spec, body = SPECS[data[0] % len(SPECS)], data[1:]
    fresh, used = InferCodec(spec), InferCodec(spec)
    for good in GOOD.values():
        told(used, b'{"input_data":' + good + b"}")
    result = told(fresh, body)
    for codec in (used, fresh, used):
        assert told(codec, body) == result, (told(codec, body), result)
    if isinstance(result, str):
        return
    encoded, payload = result
    signature = Signatures(spec).find(encoded)
    assert signature.payload_size == len(payload)
    numbers = unpack(f"<{len(payload) // spec.inputs[0].dtype.size}{spec.inputs[0].dtype.code}", payload)
    sent = flat(orjson.loads(body)["input_data"])
    assert len(numbers) == len(sent)
    for got, number in zip(numbers, sent, strict=True):
        assert not isinstance(number, bool)
        assert isinstance(number, int | float)
        if spec.inputs[0].dtype.is_float:
            assert math.isfinite(got)
            assert got == number or abs(got - number) <= abs(number) * 1e-3 + 1e-7
        else:
            assert got == number


def flat(value: object) -> list[object]:
    """The numbers of nested lists, in order."""
    if not isinstance(value, list):
        return [value]
    return [number for one in value for number in flat(one)]


def check_nested(data: bytes) -> None:
    """Any JSON list is an item or is refused in a sentence."""
    if not data:
        return
    tensor = SPECS[data[0] % len(SPECS)].inputs[0]
    try:
        value = orjson.loads(data[1:])
    except orjson.JSONDecodeError:
        return
    if not isinstance(value, list):
        return
    try:
        item = item_shape_of(tensor, value)
        payload = pack_numbers(tensor, item, value)
    except BadRequest as error:
        sentence_of(error)
        return
    assert len(payload) == count_elements(item) * tensor.dtype.size
    assert len(item) == len(tensor.item_shape)


def _http(data: bytes) -> None:
    from tests.fuzz.http_door import check_http

    check_http(data)


def check_oip(data: bytes) -> None:
    """One byte picks the model, two the length of the JSON; what is read fits the model and is answered."""
    if len(data) < 3:
        return
    codec = RestCodec(OIP_SPECS[data[0] % len(OIP_SPECS)])
    size, body = int.from_bytes(data[1:3], "little"), data[3:]
    try:
        request = codec.decode(body, None if size > len(body) + 1 else size)
    except (BadRequest, TooLarge) as error:
        sentence_of(error)
        return
    check(codec.spec, request.signature)
    assert len(request.payload) == request.signature.payload_size
    names = request.signature.outputs or tuple(tensor.name for tensor in codec.spec.outputs)
    assert len(request.outputs) == len(names)
    layout = ResultLayout(tuple(TensorLayout(name, DType.FP32, (1, 2)) for name in names))
    answer, json_size = codec.encode(request, Result(layout, bytes(8 * len(names))))
    read = orjson.loads(answer[:json_size])
    assert [output["name"] for output in read["outputs"]] == list(names)
    assert read.get("id") == request.request_id


def check_grpc(data: bytes) -> None:
    """One byte picks the model; what is read fits, is what protobuf reads, and the same a second time."""
    if not data:
        return
    spec, body = GRPC_SPECS[data[0] % len(GRPC_SPECS)], data[1:]

    def told(codec: GrpcCodec) -> GrpcRequest | str:
        try:
            return codec.decode(body)
        except (BadRequest, NotFound, TooLarge) as error:
            return sentence_of(error)

    named = None
    try:
        named = model_of(split(body).head)
    except BadRequest as error:
        sentence_of(error)
    codec = GrpcCodec(spec)
    request = told(codec)
    assert told(codec) == request
    if isinstance(request, str):
        assert StreamResponse.FromString(stream_error(request, request_id_of(body))).error_message == request
        return
    message = InferRequest.FromString(body)
    assert named == (message.model_name, message.model_version)
    assert message.id.encode() == request.request_id == request_id_of(body)
    assert {one.name for one in message.inputs} == {one.name for one in request.signature.inputs}
    check(spec, request.signature)
    find_ends(request.signature.inputs, request.payload)
    raws = message.raw_input_contents
    assert not raws or sum(map(len, raws)) == len(request.payload)
    assert 0 <= request.timeout_s <= 86_400
    names = request.signature.outputs or tuple(tensor.name for tensor in spec.outputs)
    layout = ResultLayout(tuple(TensorLayout(name, DType.FP32, (1, 2)) for name in names))
    answer = InferResponse.FromString(
        codec.encode(Result(layout, bytes(8 * len(names))), request.request_id, request.tops)
    )
    assert (answer.id, [one.name for one in answer.outputs]) == (message.id, list(names))
    assert len(answer.raw_output_contents) == len(names)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "grpc": check_grpc,
    "hello": check_hello,
    "http": _http,
    "infer": check_infer,
    "link": check_link,
    "nested": check_nested,
    "oip": check_oip,
    "records": check_records,
    "signature": check_signature,
}
