"""What can be asked of a server: each call as the request that it is and the way to read its answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar
from urllib.parse import quote

import numpy as np
import orjson

from ringserve.client.answers import (
    read_index,
    read_inference,
    read_model,
    read_nothing,
    read_object,
    read_server,
)
from ringserve.client.tensors import dtype_of, pack
from ringserve.core.tensor import DType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ringserve.client.answers import Answer, Fields, ModelMetadata, ModelState, ServerMetadata
    from ringserve.client.http_message import HttpAnswer

Found = TypeVar("Found")
_FRESH = b"Cache-Control: no-cache\r\n"
TIMEOUT_S_MAX = 86_400
"""Servers take no longer time."""


@dataclass(frozen=True, slots=True)
class Asked(Generic[Found]):
    """One call.

    Attributes:
        method: GET or POST.
        path: Quoted, without the server's own prefix.
        body: In parts, which are sent one behind the other.
        json_size: Bytes of JSON at the body's beginning; None where all of it is.
        read: Makes the result of an answer with status 200; it may raise `BadAnswer`.
        repeatable: Whether it may be sent again when nobody knows what became of it.
        headers: Of its own, each with its line's end.
    """

    method: str
    path: str
    read: Callable[[HttpAnswer], Found]
    body: tuple[bytes | memoryview, ...] = ()
    json_size: int | None = None
    repeatable: bool = True
    headers: bytes = b""


def infer(
    model: str,
    inputs: Mapping[str, object],
    outputs: Iterable[str] | None,
    version: str,
    request_id: str,
    datatypes: Mapping[str, str],
    *,
    fresh: bool = False,
) -> Asked[Answer]:
    """One inference, with all tensors as bytes both ways; arguments as of `Client.infer`.

    Raises:
        TypeError: An input is no array, or has a type that the protocol does not have.
        ValueError: There is no input, or a datatype is unknown or of no input.
    """
    if not inputs:
        raise ValueError(f"model {model!r} is asked without any input")
    astray = [name for name in datatypes if name not in inputs]
    if astray:
        raise ValueError(f"datatypes names {astray}, which are none of the inputs {list(inputs)}")
    described: list[Fields] = []
    parts: list[bytes | memoryview] = []
    for name, given in inputs.items():
        fields, raw = _input(name, given, datatypes.get(name))
        described.append(fields)
        parts.append(raw)
    fields = {"inputs": described, "parameters": {"binary_data_output": True}}
    if request_id:
        fields["id"] = request_id
    if outputs is not None:
        binary = {"binary_data": True}
        fields["outputs"] = [{"name": name, "parameters": binary} for name in outputs]
    head = orjson.dumps(fields)
    path = _of(model, version) + "/infer"
    own = _FRESH if fresh else b""
    return Asked("POST", path, read_inference, (head, *parts), len(head), headers=own)


def server() -> Asked[ServerMetadata]:
    """What serves."""
    return Asked("GET", "/v2", read_server)


def live() -> Asked[None]:
    """Whether it lives."""
    return Asked("GET", "/v2/health/live", read_nothing)


def ready(model: str, version: str) -> Asked[None]:
    """Whether it serves, or one of its models does."""
    path = f"{_of(model, version)}/ready" if model else "/v2/health/ready"
    return Asked("GET", path, read_nothing)


def metadata(model: str, version: str) -> Asked[ModelMetadata]:
    """What a model takes and gives."""
    return Asked("GET", _of(model, version), read_model)


def config(model: str, version: str) -> Asked[Fields]:
    """How a model is served."""
    return Asked("GET", _of(model, version) + "/config", read_object)


def statistics(model: str, version: str) -> Asked[Fields]:
    """What is counted of one model, or of all."""
    return Asked("GET", f"{_of(model, version)}/stats" if model else "/v2/models/stats", read_object)


def index() -> Asked[tuple[ModelState, ...]]:
    """The models there are."""
    return Asked("POST", "/v2/repository/index", read_index, (b"{}",))


def control(action: str, model: str) -> Asked[None]:
    """Load or unload a model."""
    path = f"/v2/repository/models/{_quoted(model)}/{action}"
    return Asked("POST", path, read_nothing, (b"{}",), repeatable=False)


def check_numbers(timeout_s: float, retries: int, connections: int) -> None:
    """Hold what a client is told against what can be meant.

    Raises:
        ValueError: One of them cannot.
    """
    if not 0 < timeout_s <= TIMEOUT_S_MAX:
        raise ValueError(f"timeout_s must be above 0 and at most {TIMEOUT_S_MAX}, got {timeout_s}")
    if retries < 0:
        raise ValueError(f"retries must be 0 or more, got {retries}")
    if connections < 0:
        raise ValueError(f"the number of connections must be 0 or more, got {connections}")


def _input(name: str, given: object, datatype: str | None) -> tuple[Fields, bytes | memoryview]:
    if not isinstance(given, np.ndarray | np.generic):
        kind = type(given).__name__
        raise TypeError(
            f"input {name!r} must be a numpy array, got {kind}; say its type: "
            "numpy.asarray(value, numpy.float32)"
        )
    array = np.asarray(given)
    if datatype is not None and datatype not in DType.__members__:
        raise ValueError(f"input {name!r}: there is no datatype {datatype!r}, but {list(DType.__members__)}")
    dtype = dtype_of(name, array) if datatype is None else DType[datatype]
    raw = pack(name, array, dtype)
    return {
        "name": name,
        "datatype": dtype.name,
        "shape": array.shape,
        "parameters": {"binary_data_size": len(raw)},
    }, raw


def _of(model: str, version: str) -> str:
    path = f"/v2/models/{_quoted(model)}"
    return f"{path}/versions/{quote(version, safe='')}" if version else path


def _quoted(model: str) -> str:
    if not model:
        raise ValueError("the model needs a name; `models()` lists those there are")
    return quote(model, safe="")
