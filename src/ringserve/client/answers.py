"""What comes back from a server, and how it is read.

Whatever the bytes are, reading them gives what is described here or raises `BadAnswer`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import orjson

from ringserve.client.errors import BadAnswer
from ringserve.client.tensors import from_list, unpack
from ringserve.core.tensor import DType

if TYPE_CHECKING:
    from ringserve.client.http_message import HttpAnswer
    from ringserve.client.tensors import Array

Fields = dict[str, object]
_SHOWN_MAX = 200


class Answer(Mapping[str, "Array"]):
    """The outputs of an inference by name, in the order of the model or of those asked for.

    Attributes:
        model: The model that answered.
        model_version: Its version.
        id: As it was given with the request; empty where none was.
    """

    __slots__ = ("_outputs", "id", "model", "model_version")

    def __init__(self, outputs: Mapping[str, Array], model: str, model_version: str, id: str) -> None:  # noqa: A002
        """Bind the parts."""
        self._outputs = outputs
        self.model = model
        self.model_version = model_version
        self.id = id

    def __getitem__(self, name: str) -> Array:
        """One output."""
        return self._outputs[name]

    def __iter__(self) -> Iterator[str]:
        """The names."""
        return iter(self._outputs)

    def __len__(self) -> int:
        """How many outputs there are."""
        return len(self._outputs)

    def __repr__(self) -> str:
        outputs = ", ".join(f"{name}: {array.dtype}{list(array.shape)}" for name, array in self.items())
        return f"<Answer of {self.model} version {self.model_version}: {outputs}>"


@dataclass(frozen=True, slots=True)
class TensorMetadata:
    """One input or output of a model; -1 stands for an open dimension."""

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """What a model takes and gives."""

    name: str
    versions: tuple[str, ...]
    platform: str
    inputs: tuple[TensorMetadata, ...]
    outputs: tuple[TensorMetadata, ...]


@dataclass(frozen=True, slots=True)
class ServerMetadata:
    """What serves, and which extensions of the protocol it has."""

    name: str
    version: str
    extensions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModelState:
    """One model of a server's repository: READY, LOADING or UNAVAILABLE, and why."""

    name: str
    version: str
    state: str
    reason: str


def sentence_of(answer: HttpAnswer) -> str:
    """What an answer other than 200 says, or what can be said of it."""
    try:
        read = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        read = None
    said = read.get("error") if isinstance(read, dict) else None
    if isinstance(said, str) and said:
        return said
    shown = answer.body[:_SHOWN_MAX].decode("utf-8", "replace").strip()
    return f"the server answered {answer.status}" + (f": {shown}" if shown else "")


def read_object(answer: HttpAnswer) -> Fields:
    """A page that is an object."""
    read = _json(answer.body)
    if not isinstance(read, dict):
        raise BadAnswer(f"the answer is no JSON object: {_shown(answer.body)}")
    return cast("Fields", read)


def read_nothing(_answer: HttpAnswer) -> None:
    """It is enough that it came."""


def read_server(answer: HttpAnswer) -> ServerMetadata:
    """What serves."""
    fields = read_object(answer)
    extensions = [str(one) for one in _list(fields, "extensions")]
    return ServerMetadata(_text(fields, "name"), _text(fields, "version"), tuple(extensions))


def read_model(answer: HttpAnswer) -> ModelMetadata:
    """What a model takes and gives."""
    fields = read_object(answer)
    return ModelMetadata(
        _text(fields, "name"),
        tuple(str(one) for one in _list(fields, "versions")),
        _text(fields, "platform"),
        tuple(_tensor(one) for one in _list(fields, "inputs")),
        tuple(_tensor(one) for one in _list(fields, "outputs")),
    )


def read_index(answer: HttpAnswer) -> tuple[ModelState, ...]:
    """The models of a repository."""
    rows = _json(answer.body)
    if not isinstance(rows, list):
        raise BadAnswer(f"the answer is no JSON list: {_shown(answer.body)}")
    return tuple(
        ModelState(_text(row, "name"), _text(row, "version"), _text(row, "state"), _text(row, "reason"))
        for row in map(_object, rows)
    )


def read_inference(answer: HttpAnswer) -> Answer:
    """The outputs of an inference, whether they stand in the JSON or behind it."""
    body, size = answer.body, answer.json_size
    if size is not None and not 0 <= size <= len(body):
        raise BadAnswer(f"Inference-Header-Content-Length is {size}, but the answer has {len(body)} bytes")
    fields = _object(_json(body if size is None else memoryview(body)[:size]))
    rest = memoryview(body)[len(body) if size is None else size :]
    outputs: dict[str, Array] = {}
    start = 0
    for output in map(_object, _list(fields, "outputs")):
        name = _text(output, "name")
        outputs[name], start = _output(name, output, rest, start)
    if start != len(rest):
        raise BadAnswer(f"{len(rest) - start} bytes behind the answer's JSON belong to no output")
    version, identity = fields.get("model_version"), fields.get("id")
    return Answer(
        outputs,
        _text(fields, "model_name"),
        version if isinstance(version, str) else "",
        identity if isinstance(identity, str) else "",
    )


def _output(name: str, output: Fields, rest: memoryview, start: int) -> tuple[Array, int]:
    """The array of an output, and where the bytes of the next one begin."""
    datatype, shape = _text(output, "datatype"), _list(output, "shape")
    if datatype not in DType.__members__ or not all(type(dim) is int and dim >= 0 for dim in shape):
        raise BadAnswer(f"output {name!r} has datatype {datatype!r} and shape {shape}")
    dtype, sizes = DType[datatype], tuple(cast("list[int]", shape))
    parameters = output.get("parameters")
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    left = len(rest) - start
    if size is not None and (type(size) is not int or not 0 <= size <= left):
        raise BadAnswer(f"output {name!r} has binary_data_size {size}, and {left} bytes are left")
    try:
        if size is None:
            return from_list(dtype, sizes, _list(output, "data")), start
        return unpack(dtype, sizes, rest[start : start + size]), start + size
    except ValueError as error:
        raise BadAnswer(f"output {name!r} of shape {shape}: {error}") from error


def _json(data: bytes | memoryview) -> object:
    try:
        return cast("object", orjson.loads(data))
    except orjson.JSONDecodeError as error:
        raise BadAnswer(f"the answer is no JSON ({error}): {_shown(data)}") from error


def _object(value: object) -> Fields:
    if not isinstance(value, dict):
        raise BadAnswer(f"the answer has {str(value)[:_SHOWN_MAX]} where an object belongs")
    return cast("Fields", value)


def _tensor(value: object) -> TensorMetadata:
    fields = _object(value)
    shape = _list(fields, "shape")
    if not all(type(dim) is int for dim in shape):
        raise BadAnswer(f"the answer has the shape {shape}")
    return TensorMetadata(_text(fields, "name"), _text(fields, "datatype"), tuple(cast("list[int]", shape)))


def _text(fields: Fields, name: str) -> str:
    value = fields.get(name, "")
    if not isinstance(value, str):
        raise BadAnswer(f"{name} of the answer is no string: {str(value)[:_SHOWN_MAX]}")
    return value


def _list(fields: Fields, name: str) -> list[object]:
    value = fields.get(name)
    if not isinstance(value, list):
        raise BadAnswer(f"{name} of the answer is no list: {str(value)[:_SHOWN_MAX]}")
    return value


def _shown(data: bytes | memoryview) -> str:
    return repr(bytes(data[:_SHOWN_MAX]))
