"""`POST /v2/models/{model}/infer`: JSON, with tensors in it or as bytes behind it.

A body is JSON alone, or JSON whose length a header tells and the binary tensors behind it, in the order of
the inputs; or, with a length of 0, the bytes of a model's only input. Both forms may be mixed. Binary tensors
are cut out of the body and never become numbers here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import orjson

from ringserve.core.names import compared, listed, named
from ringserve.core.signature import Signature, TensorLayout
from ringserve.core.signatures import check
from ringserve.core.tensor import count_elements, describe_shape
from ringserve.errors import BadRequest, TooLarge
from ringserve.wire.nested import shown
from ringserve.wire.oip_answer import AnswerForms
from ringserve.wire.oip_asked import (
    AskedOutput,
    Fields,
    flag_of,
    outputs_of,
    parameters_of,
    timeout_of,
)
from ringserve.wire.oip_input import binary_size_of, check_raw, layout_of
from ringserve.wire.oip_json import pack_data
from ringserve.wire.oip_known import KnownForms, KnownHead
from ringserve.wire.oip_refusal import told_of

if TYPE_CHECKING:
    from ringserve.core.signature import Result
    from ringserve.core.tensor import ModelSpec, TensorSpec

_KNOWN_MAX = 256
_EXAMPLE = '{"inputs": [{"name": ..., "shape": [...], "datatype": ..., "data": [...]}]}'


class RestRequest:
    """A request, read.

    Attributes:
        request_id: The caller's name for it; None where it gave none.
        signature: Fits the model.
        payload: The tensors' bytes, in the model's order.
        outputs: The form of each output of the answer.
        timeout_us: How long the caller waits, in microseconds; 0 where it does not say.
    """

    __slots__ = ("outputs", "payload", "request_id", "signature", "timeout_us")

    def __init__(
        self,
        request_id: str | None,
        signature: Signature,
        payload: bytes,
        outputs: tuple[AskedOutput, ...],
        timeout_us: int,
    ) -> None:
        """Bind the parts."""
        self.request_id = request_id
        self.signature = signature
        self.payload = payload
        self.outputs = outputs
        self.timeout_us = timeout_us


class RestCodec:
    """Reads and writes the bodies of one model."""

    def __init__(self, spec: ModelSpec) -> None:
        """Begin with no shape seen."""
        self.spec = spec
        self._inputs = {tensor.name: tensor for tensor in spec.inputs}
        self._signatures: dict[object, Signature] = {}
        self._answers = AnswerForms(spec)
        self._known = KnownForms()
        self._in_json: tuple[AskedOutput, ...] = ()

    def decode(self, body: bytes, json_size: int | None, version: str = "") -> RestRequest:
        """Read a request's body.

        Args:
            body: The whole of it, unpacked.
            json_size: Bytes of JSON at its beginning; None for all, 0 for none.
            version: Of the model, as the path names it; empty where it names none.

        Raises:
            BadRequest: It cannot be read, or does not fit the model.
            TooLarge: A tensor has more elements than any may have.
        """
        if json_size:
            known = self._known.find_head(body, json_size, version)
            if known is not None:
                return RestRequest(
                    known.request_id, known.signature, body[json_size:], known.outputs, known.timeout_us
                )
        try:
            if json_size == 0:
                return self._decode_raw(body, version)
            fields = _read_json(body, json_size)
            return self._decode_plain(fields, body, version) or self._decode_fields(
                fields, body, json_size, version
            )
        except (BadRequest, TooLarge) as error:
            raise told_of(self.spec, error) from error

    def _decode_plain(self, fields: Fields, body: bytes, version: str) -> RestRequest | None:
        """Read a request of a form seen before; None where it is none."""
        inputs, request_id = fields.get("inputs"), fields.get("id")
        if not _is_plain(fields):
            return None
        found = self._known.find_plain(cast("list[object]", inputs)[0], body, version)
        if found is None:
            return None
        return RestRequest(cast("str | None", request_id), *found, self._in_json, 0)

    def _decode_fields(self, fields: Fields, body: bytes, json_size: int | None, version: str) -> RestRequest:
        request_id = fields.get("id")
        if request_id is not None and not isinstance(request_id, str):
            raise BadRequest(f"id must be a string, got {shown(request_id)}")
        parameters = parameters_of(fields, "the request")
        binary = flag_of(parameters, "binary_data_output", "the request", default=False)
        names, outputs = outputs_of(fields.get("outputs"), self.spec, binary=binary)
        rest = None if json_size is None else memoryview(body)[json_size:]
        layouts, parts = self._read_inputs(fields.get("inputs"), rest)
        signature = self._signature(layouts, names, version)
        payload = b"".join([parts[tensor.name] for tensor in self.spec.inputs])
        request = RestRequest(request_id, signature, payload, outputs, timeout_of(parameters))
        if json_size is not None:
            self._learn_head(body, json_size, request, list(parts))
        elif len(parts) == 1 and _is_plain(fields):
            self._in_json = outputs
            self._known.learn_plain(cast("list[object]", fields["inputs"])[0], signature)
        return request

    def _learn_head(self, body: bytes, json_size: int, request: RestRequest, names: list[str]) -> None:
        in_order = names == list(self._inputs) and len(body) - json_size == request.signature.payload_size
        head = KnownHead(request.request_id, request.signature, request.outputs, request.timeout_us, in_order)
        self._known.learn_head(body[:json_size], head)

    def encode(self, request: RestRequest, result: Result) -> tuple[bytes, int | None]:
        """Write an answer's body.

        Returns:
            The body, and the length of its JSON where binary tensors follow it, else None.

        Raises:
            NotFinite: An output asked for in JSON holds NaN or infinity.
            ModelFailed: The type of one has no JSON form.
        """
        return self._answers.write(request.request_id, request.outputs, result)

    def _decode_raw(self, body: bytes, version: str) -> RestRequest:
        """The body is the only input's bytes; what its shape leaves open follows from their number."""
        if len(self.spec.inputs) != 1:
            raise BadRequest(
                f"model {self.spec.name} takes {len(self.spec.inputs)} inputs, and a body without JSON "
                "is one; send JSON that names them"
            )
        (tensor,) = self.spec.inputs
        open_dims = [dim for dim in tensor.shape if not isinstance(dim, int)]
        known = count_elements(tuple(dim for dim in tensor.shape if isinstance(dim, int))) * tensor.dtype.size
        if not known or len(open_dims) > 1 or len(body) % known or (not open_dims and len(body) != known):
            raise BadRequest(
                f"input {tensor.name} has shape {describe_shape(tensor.shape)} and type {tensor.dtype.name}, "
                f"which {len(body)} bytes without JSON do not tell; send JSON with the shape"
            )
        shape = tuple(dim if isinstance(dim, int) else len(body) // known for dim in tensor.shape)
        layout = TensorLayout(tensor.name, tensor.dtype, shape)
        check_raw(layout, body)
        signature = self._signature([layout], (), version)
        return RestRequest(None, signature, body, (AskedOutput(True, 0),) * len(self.spec.outputs), 0)

    def _read_inputs(
        self, value: object, rest: memoryview | None
    ) -> tuple[list[TensorLayout], dict[str, bytes]]:
        if not isinstance(value, list):
            what = "is missing" if value is None else f"must be a list, got {shown(value)}"
            raise BadRequest(f"inputs {what}: send {_EXAMPLE}")
        layouts: dict[str, TensorLayout] = {}
        parts: dict[str, bytes] = {}
        position = 0
        for number, fields in enumerate(value):
            tensor = self._tensor(fields, number)
            if tensor.name in layouts:
                raise BadRequest(f"input {tensor.name} is given twice")
            layout = layouts[tensor.name] = layout_of(tensor, cast("Fields", fields))
            size = binary_size_of(cast("Fields", fields), layout, rest)
            if size is None:
                parts[tensor.name] = pack_data(tensor, layout.shape, fields.get("data"))
            else:
                assert rest is not None
                raw = parts[tensor.name] = bytes(rest[position : position + size])
                position += size
                if position > len(rest):
                    raise BadRequest(
                        f"input {tensor.name} has {size} bytes behind the JSON, but the body ends "
                        f"{position - len(rest)} bytes too soon"
                    )
                check_raw(layout, raw)
        if len(layouts) < len(self._inputs):
            told = compared(list(self._inputs), list(layouts))
            raise BadRequest(f"model {self.spec.name} takes the inputs {told}")
        if rest is not None and position != len(rest):
            raise BadRequest(
                f"the inputs {listed(list(layouts))} have {position} bytes behind the JSON, got {len(rest)}"
            )
        return [layouts[name] for name in self._inputs], parts

    def _tensor(self, fields: object, number: int) -> TensorSpec:
        if not isinstance(fields, dict) or not isinstance(name := fields.get("name"), str):
            raise BadRequest(f"inputs[{number}] must be an object with a name: send {_EXAMPLE}")
        tensor = self._inputs.get(name)
        if tensor is None:
            known = listed(list(self._inputs))
            raise BadRequest(f"model {self.spec.name} takes the inputs {known}, not {named(name)}")
        return tensor

    def _signature(self, layouts: list[TensorLayout], outputs: tuple[str, ...], version: str) -> Signature:
        """The one object for all requests of this shape, checked when it is made."""
        key = (tuple([layout.shape for layout in layouts]), outputs, version)
        known = self._signatures.get(key)
        if known is None:
            known = Signature(self.spec.name, version, tuple(layouts), outputs)
            check(self.spec, known)
            if not self.spec.inputs[0].has_batch_axis:
                known.rows = 1
            if len(self._signatures) >= _KNOWN_MAX:
                self._signatures.clear()
            self._signatures[key] = known
        return known


def _is_plain(fields: Fields) -> bool:
    """Whether a request has one input, perhaps a name, and nothing else."""
    inputs, request_id = fields.get("inputs"), fields.get("id")
    if inputs.__class__ is not list or len(cast("list[object]", inputs)) != 1:
        return False
    return len(fields) == 1 or (len(fields) == 2 and request_id.__class__ is str)  # noqa: PLR2004


def _read_json(body: bytes, json_size: int | None) -> Fields:
    if json_size is not None and json_size > len(body):
        raise BadRequest(
            f"Inference-Header-Content-Length is {json_size}, but the body has {len(body)} bytes"
        )
    try:
        value = orjson.loads(body if json_size is None else memoryview(body)[:json_size])
    except orjson.JSONDecodeError as cause:
        raise BadRequest(f"the body is not JSON: {cause}") from cause
    if not isinstance(value, dict):
        raise BadRequest(f"the body must be an object like {_EXAMPLE}, got {shown(value)}")
    return cast("Fields", value)
