"""`POST /infer`: one item in, one item out, as plain JSON.

Two ways to read a body, held equal by tests. The fast way covers what almost every caller sends: orjson, then
one `struct` call that checks the count, the range and that every element is a number. Whatever it cannot do
(nested lists, whole floats for integer inputs, anything wrong) goes the strict way, which walks the value and
words the error. Booleans are numbers to Python, so a body that holds one never goes the fast way.
"""

from __future__ import annotations

from struct import Struct, error
from typing import Any, Protocol

import numpy as np
import orjson

from ringserve.core.byte_strings import split
from ringserve.core.signature import Result, ResultLayout, Signature, TensorLayout
from ringserve.core.tensor import DType, ModelSpec, count_elements
from ringserve.errors import BadRequest, ModelFailed, NotFinite, TooLarge
from ringserve.limits import TENSOR_ELEMENTS_MAX
from ringserve.wire.nested import item_shape_of, kind_of, pack_elements

_KNOWN_MAX = 256
MODEL, VERSION = "model", "model_version"
"""The fields that name a model where several are served."""

Fields = dict[str, object]


class Choose(Protocol):
    """Finds the codec of a model."""

    def __call__(self, model: str = "", version: str = "") -> InferCodec:
        """By name and version; without them the one that serves whoever names none."""


def read_object(body: bytes) -> Fields:
    """The fields of a body.

    Raises:
        BadRequest: It is no JSON object.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as cause:
        raise _no_json(cause) from cause
    if not isinstance(value, dict):
        raise _no_object(value)
    return value


def named_model(value: Fields) -> tuple[str, str]:
    """The model and the version that a body names; empty where it does not.

    Raises:
        BadRequest: They are no strings.
    """
    named = []
    for field in (MODEL, VERSION):
        name = value.get(field, "")
        if not isinstance(name, str):
            raise BadRequest(f"{field} must be a string, got {_kind(name)}")
        named.append(name)
    return named[0], named[1]


def decode_infer(choose: Choose, body: bytes) -> tuple[InferCodec, InferRequest]:
    """Read a body for the model that it names.

    Args:
        choose: Finds the codec.
        body: The whole of it.

    Raises:
        ServeError: It cannot be read, or the model is not there.
    """
    value = read_object(body)
    name, version = named_model(value)
    codec = choose(name, version)
    return codec, codec.decode_for(version, body, value)


class InferRequest:
    """A request body, read."""

    __slots__ = ("payload", "request_id", "signature")

    def __init__(self, request_id: str | None, signature: Signature, payload: bytes) -> None:
        """Bind the parts; `request_id` is None when the caller left it out."""
        self.request_id = request_id
        self.signature = signature
        self.payload = payload


class InferCodec:
    """Reads and writes the bodies of `/infer` for one model."""

    def __init__(self, spec: ModelSpec) -> None:
        """Work out what one item of the model looks like.

        Args:
            spec: The model; one that `/infer` cannot describe makes a codec that refuses every body.
        """
        self.spec = spec
        self.refusal = _why_not(spec)
        self._input = spec.inputs[0] if spec.inputs else None
        self._item = self._input.item_shape if self._input is not None else ()
        self._shapes: dict[int, tuple[Struct, Signature]] = {}
        self._nested: dict[tuple[int, ...], Signature] = {}
        self._versioned: dict[tuple[str, bytes], Signature] = {}
        self._node_ids: dict[str, bytes] = {}
        self._kinds: dict[ResultLayout, tuple[np.dtype[np.generic] | None, int]] = {}

    def decode(self, body: bytes, fields: Fields | None = None) -> InferRequest:
        """Read a body.

        Args:
            body: The whole of it.
            fields: What `read_object` read from it; without them a body that names a model is refused, since
                nobody has looked whether it names this one (`decode_infer` does).

        Raises:
            BadRequest: It is not JSON, lacks a field, names a model, or does not fit the model's input.
            TooLarge: The input would have more elements than any tensor may have.
        """
        if self.refusal is not None:
            raise BadRequest(self.refusal)
        value: Any = fields
        if value is None:
            try:
                value = orjson.loads(body)
            except orjson.JSONDecodeError as cause:
                raise _no_json(cause) from cause
            if value.__class__ is not dict:
                raise _no_object(value)
            if MODEL in value or VERSION in value:
                raise BadRequest(f"the body names a model; this is the codec of {self.spec.name} alone")
        request_id = value.get("request_id")
        if request_id.__class__ is not str and "request_id" in value:
            raise BadRequest(f"request_id must be a string, got {_kind(request_id)}")
        data = value.get("input_data")
        if data.__class__ is not list:
            raise BadRequest(self._no_list(value))
        known = self._shapes.get(len(data))
        if known is not None and b"true" not in body and b"false" not in body:
            packer, signature = known
            try:
                return InferRequest(request_id, signature, packer.pack(*data))
            except (error, OverflowError):
                pass  # The strict way words the error, or accepts what the fast way cannot.
        signature, payload = self._strict(data)
        return InferRequest(request_id, signature, payload)

    def decode_for(self, version: str, body: bytes, fields: Fields) -> InferRequest:
        """The same for a version that was asked for; empty where none was."""
        request = self.decode(body, fields)
        if version:
            plain = request.signature
            key = version, plain.encoded
            signature = self._versioned.get(key)
            if signature is None:
                signature = Signature(plain.model, version, plain.inputs, plain.outputs)
                signature.rows = plain.rows
                if len(self._versioned) >= _KNOWN_MAX:
                    self._versioned.clear()
                self._versioned[key] = signature
            request.signature = signature
        return request

    def encode(self, result: Result, request_id: str, node_id: str, cached: bool, time_us: int) -> bytes:
        """Write an answer's body.

        Raises:
            NotFinite: The output holds NaN or infinity, which JSON cannot carry.
            ModelFailed: The output's type has no JSON form here.
        """
        layout = result.layout
        kind, count = self._kinds.get(layout) or self._learn_kind(layout)
        if kind is None:
            text = _strings(result, count)
        else:
            text = orjson.dumps(np.frombuffer(result.payload, kind, count), option=orjson.OPT_SERIALIZE_NUMPY)
            # orjson writes null for what JSON has no number for; no number contains the letter n.
            if b"n" in text:
                sentence = "holds NaN or infinity, which JSON cannot carry; ask for binary tensors by /v2"
                raise NotFinite(f"output {layout.outputs[0].name} {sentence}")
        node = self._node_ids.get(node_id)
        if node is None:
            node = self._node_ids[node_id] = orjson.dumps(node_id)
        return b'{"request_id":%b,"output_data":%b,"node_id":%b,"cached":%b,"inference_time_us":%d}' % (
            orjson.dumps(request_id),
            text,
            node,
            b"true" if cached else b"false",
            time_us,
        )

    def _learn_kind(self, layout: ResultLayout) -> tuple[np.dtype[np.generic] | None, int]:
        """Type (None for strings) and count of the first output's elements; few layouts come, often."""
        output = layout.outputs[0]
        kind = output.dtype.numpy
        if kind is None and output.dtype is not DType.BYTES:
            raise ModelFailed(f"output {output.name} has type {output.dtype.name}; ask for it by /v2")
        if len(self._kinds) >= _KNOWN_MAX:
            self._kinds.clear()
        self._kinds[layout] = found = kind, count_elements(output.shape)
        return found

    def _no_list(self, value: Fields) -> str:
        assert self._input is not None
        rule = f"must be a list of {kind_of(self._input.dtype)}s"
        if "input_data" not in value:
            return f"input_data is missing: it {rule}"
        return f"input_data {rule}, got {_kind(value['input_data'])}"

    def _strict(self, data: list[object]) -> tuple[Signature, bytes]:
        """Read `input_data` element by element; remembers the shape for the fast way."""
        tensor = self._input
        assert tensor is not None
        item = item_shape_of(tensor, data)
        if count_elements(item) > TENSOR_ELEMENTS_MAX:
            raise TooLarge(f"input {tensor.name} may have {TENSOR_ELEMENTS_MAX} elements at most")
        payload = pack_elements(tensor, item, data)
        signature = self._nested.get(item)
        if signature is None:
            shape = (1, *item) if tensor.has_batch_axis else item
            signature = Signature(self.spec.name, "", (TensorLayout(tensor.name, tensor.dtype, shape),))
            if not tensor.has_batch_axis:
                signature.rows = 1
            if len(self._nested) < _KNOWN_MAX:
                self._nested[item] = signature
        flat = not data or not isinstance(data[0], list)
        if flat and tensor.dtype.code and len(self._shapes) < _KNOWN_MAX:
            self._shapes[len(data)] = Struct(f"<{len(data)}{tensor.dtype.code}"), signature
        return signature, payload


def _strings(result: Result, count: int) -> bytes:
    """The first output's strings as a JSON list."""
    try:
        return orjson.dumps([str(text, "utf-8") for text in split(result.payload, 0, count)])
    except UnicodeDecodeError as cause:
        sentence = "holds bytes that are no UTF-8, which JSON cannot carry; ask for binary tensors by /v2"
        raise ModelFailed(f"output {result.layout.outputs[0].name} {sentence}") from cause


def _why_not(spec: ModelSpec) -> str | None:
    """Why `/infer` cannot describe this model; None if it can."""
    if len(spec.inputs) != 1:
        return f"model {spec.name} takes {len(spec.inputs)} inputs, which /infer cannot name; use /v2"
    if not spec.inputs[0].dtype.code and spec.inputs[0].dtype not in (DType.BOOL, DType.BYTES):
        name, dtype = spec.inputs[0].name, spec.inputs[0].dtype.name
        return f"input {name} of model {spec.name} has type {dtype}, which /infer cannot carry; use /v2"
    return None


def _no_json(cause: Exception) -> BadRequest:
    return BadRequest(f"the body is not JSON: {cause}")


def _no_object(value: object) -> BadRequest:
    return BadRequest(f'the body must be an object like {{"input_data": [...]}}, got {_kind(value)}')


def _kind(value: object) -> str:
    """What a JSON value is, in JSON's words."""
    names = {bool: "a boolean", str: "a string", list: "a list", dict: "an object"}
    if value is None:
        return "null"
    return names.get(type(value), "a number")
