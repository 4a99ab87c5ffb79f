"""ModelInfer: one message in, one message out.

Nothing here knows grpcio: bytes come and go, so that any transport can carry them. Tensors go out as
raw_output_contents always; that is what clients read.
"""

from __future__ import annotations

from typing import NamedTuple

from google.protobuf.message import DecodeError, Message

from ringserve.core.asked_model import check_model
from ringserve.core.byte_strings import find_ends, join
from ringserve.core.names import NAME_SHOWN_MAX, listed, named
from ringserve.core.signature import Result, ResultLayout, Signature, TensorLayout
from ringserve.core.signatures import Signatures
from ringserve.core.tensor import DType, ModelSpec
from ringserve.errors import BadRequest
from ringserve.wire.oip_answer import classes_of
from ringserve.wire.oip_grpc_contents import pack_contents
from ringserve.wire.oip_grpc_split import Parts, split, varint
from ringserve.wire.oip_input import LOOKED_AT, check_raw
from ringserve.wire.oip_refusal import told_of
from ringserve.wire.proto.messages import InferRequest, InferResponse, StreamResponse

_KNOWN_MAX = 256
_HEAD_BYTES_MAX = 1 << 14
"""A larger head is read anew each time: what callers send must not fill the memory."""
_TIMEOUT_US_MAX = 86_400_000_000
_ID = bytes([3 << 3 | 2])
_RAW = bytes([6 << 3 | 2])
_INFER_RESPONSE = bytes([2 << 3 | 2])


class GrpcRequest(NamedTuple):
    """A request, read.

    Attributes:
        signature: Fits the model.
        payload: The tensors' bytes, in the model's order.
        request_id: As it came, UTF-8.
        timeout_s: How long the caller waits; 0 where it does not say.
        tops: For each output how many classes to name instead of its numbers, or 0; empty where none are.
    """

    signature: Signature
    payload: bytes
    request_id: bytes
    timeout_s: float
    tops: tuple[int, ...]


class _Head(NamedTuple):
    """What a head says: `layouts` in the order of the message, `places` of the model's inputs therein."""

    signature: Signature
    layouts: tuple[TensorLayout, ...]
    places: tuple[int, ...]
    timeout_s: float
    tops: tuple[int, ...]


class GrpcCodec:
    """Reads and writes the messages of ModelInfer for one model."""

    def __init__(self, spec: ModelSpec) -> None:
        """Begin with no head seen."""
        self.spec = spec
        self._signatures = Signatures(spec)
        self._heads: dict[bytes, _Head] = {}
        self._layouts: dict[ResultLayout, bytes] = {}

    def decode(self, data: bytes) -> GrpcRequest:
        """Read a request.

        Raises:
            BadRequest: It is no message of the kind, or does not fit the model.
            NotFound: It asks for another model or version.
        """
        return self.decode_parts(split(data))

    def decode_parts(self, parts: Parts) -> GrpcRequest:
        """Like `decode`, of a request that was taken apart already."""
        try:
            return self._decode(*parts)
        except BadRequest as error:
            raise told_of(self.spec, error) from error

    def _decode(self, head_bytes: bytes, request_id: bytes, raws: list[memoryview]) -> GrpcRequest:
        head = self._heads.get(head_bytes) if raws else None
        if head is None:
            message = _parse(head_bytes)
            head = self._read_head(message)
            contents = [one.contents for one in message.inputs if one.HasField("contents")]
            if not raws:
                return _request(head, _pack(head, message), request_id)
            if contents:
                raise BadRequest("tensors go either by contents or by raw_input_contents, and both came")
            if len(head_bytes) <= _HEAD_BYTES_MAX:
                if len(self._heads) >= _KNOWN_MAX:
                    self._heads.clear()
                self._heads[head_bytes] = head
        return _request(head, _gather(head, raws), request_id)

    def encode(self, result: Result, request_id: bytes, tops: tuple[int, ...] = ()) -> bytes:
        """Write an answer; `tops` as the request has them.

        Raises:
            ModelFailed: An output has no classes.
        """
        if tops:
            result = _classified(self.spec, result, tops)
        layout = result.layout
        parts: list[bytes | memoryview] = [self._layouts.get(layout) or self._describe(layout)]
        if request_id:
            parts += (_ID, varint(len(request_id)), request_id)
        view = memoryview(result.payload)
        start = 0
        for end in find_ends(layout.outputs, result.payload):
            parts += (_RAW, varint(end - start), view[start:end])
            start = end
        return b"".join(parts)

    def _describe(self, layout: ResultLayout) -> bytes:
        """Everything of an answer but its id and tensors; few layouts come, again and again."""
        message = InferResponse(model_name=self.spec.name, model_version=self.spec.version)
        for output in layout.outputs:
            message.outputs.add(name=output.name, datatype=output.dtype.name, shape=output.shape)
        if len(self._layouts) >= _KNOWN_MAX:
            self._layouts.clear()
        found = self._layouts[layout] = bytes(message.SerializeToString())
        return found

    def _read_head(self, message: Message) -> _Head:
        spec = self.spec
        check_model(spec, message.model_name, message.model_version)
        layouts = tuple(_layout(one) for one in message.inputs)
        place = {layout.name: index for index, layout in enumerate(layouts)}
        if len(place) < len(layouts):
            raise BadRequest(f"model {spec.name} got an input twice: {listed([one.name for one in layouts])}")
        # What the model does not have, or lacks here, is told by the check of the signature.
        names = [tensor.name for tensor in spec.inputs if tensor.name in place]
        names += [name for name in place if name not in names]
        places = tuple(place[name] for name in names)
        asked = tuple(str(one.name) for one in message.outputs)
        tops = tuple(_top(spec, one) for one in message.outputs)
        if len(set(asked)) < len(asked):
            raise BadRequest(f"model {spec.name} is asked for an output twice: {listed(asked)}")
        outputs = () if asked == tuple(tensor.name for tensor in spec.outputs) else asked
        signature = Signature(spec.name, message.model_version, tuple(layouts[i] for i in places), outputs)
        timeout_s = _timeout_s(message)
        known = self._signatures.find(signature.encoded)
        return _Head(known, layouts, places, timeout_s, tops if any(tops) else ())


def stream_answer(answer: bytes) -> bytes:
    """The answer of ModelInfer as one of ModelStreamInfer."""
    return b"".join((_INFER_RESPONSE, varint(len(answer)), answer))


def stream_error(sentence: str, request_id: bytes) -> bytes:
    """What ModelStreamInfer says of a request that failed; the stream goes on."""
    message = StreamResponse(error_message=sentence)
    message.infer_response.id = request_id.decode()
    return bytes(message.SerializeToString())


def request_id_of(data: bytes) -> bytes:
    """The id of a request that may be wrong otherwise; empty where it cannot be told."""
    try:
        return split(data).request_id
    except BadRequest:
        return b""


def _parse(head: bytes) -> Message:
    try:
        message: Message = InferRequest.FromString(head)
    except DecodeError as error:
        raise BadRequest(f"the message is no ModelInferRequest: {error}") from error
    return message


def _layout(tensor: Message) -> TensorLayout:
    what = f"input {tensor.name[:NAME_SHOWN_MAX]}"
    if "shared_memory_region" in tensor.parameters:
        raise BadRequest(f"{what}: shared memory is not offered; send the tensor's bytes")
    if tensor.datatype not in DType.__members__:
        known = " ".join(DType.__members__)
        raise BadRequest(f"{what} has datatype {named(tensor.datatype)}; there are {known}")
    try:
        return TensorLayout.from_row([tensor.name, tensor.datatype, list(tensor.shape)])
    except ValueError as error:
        raise BadRequest(f"{what}: {error}") from error


def _top(spec: ModelSpec, output: Message) -> int:
    what = f"output {output.name[:NAME_SHOWN_MAX]}"
    if "shared_memory_region" in output.parameters:
        raise BadRequest(f"{what}: shared memory is not offered; leave the parameter out")
    if "classification" not in output.parameters:
        return 0
    parameter = output.parameters["classification"]
    kind = parameter.WhichOneof("parameter_choice")
    value = getattr(parameter, kind) if kind in {"int64_param", "uint64_param"} else -1
    if value < 0:
        raise BadRequest(f"parameter classification of {what} must be a number of classes")
    dtype = next((one.dtype for one in spec.outputs if one.name == output.name), DType.FP32)
    if value and not (dtype.is_float or dtype.is_integer):
        raise BadRequest(f"{what} has type {dtype.name}, which has no largest classes")
    return int(value)


def _classified(spec: ModelSpec, result: Result, tops: tuple[int, ...]) -> Result:
    """The same answer with the largest classes of some outputs as strings."""
    layouts: list[TensorLayout] = []
    parts: list[bytes] = []
    start, ends = 0, find_ends(result.layout.outputs, result.payload)
    for layout, end, top in zip(result.layout.outputs, ends, tops, strict=True):
        raw = result.payload[start:end]
        start = end
        if top:
            shape, strings = classes_of(spec, layout, raw, top)
            layouts.append(TensorLayout(layout.name, DType.BYTES, shape))
            parts.append(join([text.encode() for text in strings]))
        else:
            layouts.append(layout)
            parts.append(raw)
    return Result(ResultLayout(tuple(layouts)), b"".join(parts))


def _request(head: _Head, payload: bytes, request_id: bytes) -> GrpcRequest:
    return GrpcRequest(head.signature, payload, request_id, head.timeout_s, head.tops)


def _timeout_s(message: Message) -> float:
    if "timeout" not in message.parameters:
        return 0.0
    parameter = message.parameters["timeout"]
    kind = parameter.WhichOneof("parameter_choice")
    value = getattr(parameter, kind) if kind in {"int64_param", "uint64_param", "double_param"} else -1
    if not 0 <= value <= _TIMEOUT_US_MAX:
        raise BadRequest(f"the parameter timeout is a number of microseconds up to {_TIMEOUT_US_MAX}")
    return float(value) / 1e6


def _pack(head: _Head, message: Message) -> bytes:
    tensors = [pack_contents(layout, one.contents)
               for layout, one in zip(head.layouts, message.inputs, strict=True)]  # fmt: skip
    return b"".join(tensors[place] for place in head.places)


def _gather(head: _Head, raws: list[memoryview]) -> bytes:
    """The raw tensors in the model's order, each of the size that its layout says."""
    layouts = head.layouts
    if len(raws) != len(layouts):
        inputs = listed([layout.name for layout in layouts])
        raise BadRequest(f"the inputs {inputs} go by {len(layouts)} raw_input_contents, got {len(raws)}")
    for layout, raw in zip(layouts, raws, strict=True):
        if layout.dtype in LOOKED_AT:
            check_raw(layout, raw)
        if layout.dtype.size and len(raw) != layout.byte_size:
            kind, shape = layout.dtype.name, list(layout.shape)
            expected = f"{layout.byte_size} bytes"
            raise BadRequest(f"input {layout.name}, {kind} of shape {shape}, has {expected}, got {len(raw)}")
    if len(raws) == 1:
        return bytes(raws[0])
    return b"".join(raws[place] for place in head.places)
