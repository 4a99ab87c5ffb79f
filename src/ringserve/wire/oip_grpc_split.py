"""A ModelInferRequest taken apart without copying its tensors.

What comes again and again is everything but the id and the raw tensors: these *head* bytes are looked up by
who has seen them. All fields of the message have a length and a number below 16, so that a walk over tags of
one byte finds its way; whatever else there is, such as a field of a later version, takes protobuf's own way.
"""

from __future__ import annotations

from typing import NamedTuple

from google.protobuf.message import DecodeError

from ringserve.errors import BadRequest
from ringserve.wire.proto.messages import InferRequest

_ID = 3 << 3 | 2
_RAW = 7 << 3 | 2
_NAME = 1 << 3 | 2
_VERSION = 2 << 3 | 2
_TAGS = frozenset(number << 3 | 2 for number in range(1, 8))
_SIZE_BYTES_MAX = 5
"""Of a length on the wire: a message has less than 2 GB."""


class Parts(NamedTuple):
    """A request: the bytes of all fields but these, the id, and the raw tensors, which are views."""

    head: bytes
    request_id: bytes
    raws: list[memoryview]


def split(data: bytes) -> Parts:
    """Take a request apart.

    Raises:
        BadRequest: The bytes are none.
    """
    parts = _walk(data)
    if parts is None:
        return _parse(data)
    if not parts.request_id.isascii():
        try:
            parts.request_id.decode()
        except UnicodeDecodeError as error:
            raise BadRequest(f"the request's id is no UTF-8: {error}") from error
    return parts


def model_of(head: bytes) -> tuple[str, str]:
    """The model's name and version as a head gives them; empty where it does not.

    Raises:
        BadRequest: The bytes are no head.
    """
    name = version = b""
    at, end = 0, len(head)
    try:
        while at < end:
            tag = head[at]
            if tag not in _TAGS:
                message = InferRequest.FromString(head)
                return message.model_name, message.model_version
            size, inside = _size(head, at + 1)
            if size < 0:
                raise BadRequest("the message is no ModelInferRequest: a length is cut off")
            at = inside + size
            if tag == _NAME:
                name = head[inside:at]
            elif tag == _VERSION:
                version = head[inside:at]
        return name.decode(), version.decode()
    except (DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"the message is no ModelInferRequest: {error}") from error


def varint(number: int) -> bytes:
    """A number as protobuf writes it."""
    parts = bytearray()
    while number > 127:  # noqa: PLR2004 - seven bits a byte
        parts.append(number & 127 | 128)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def _walk(data: bytes) -> Parts | None:
    """Find the fields; None where something unusual is among them."""
    view = memoryview(data)
    kept: list[bytes | memoryview] = []
    raws: list[memoryview] = []
    request_id = b""
    at = since = 0
    end = len(data)
    while at < end:
        tag = data[at]
        if tag not in _TAGS:
            return None
        size, inside = _size(data, at + 1)
        after = inside + size
        if size < 0 or after > end:
            return None
        if tag in {_RAW, _ID}:
            if since < at:
                kept.append(data[since:at])
            since = after
            if tag == _RAW:
                raws.append(view[inside:after])
            else:
                request_id = data[inside:after]
        at = after
    if since < end:
        kept.append(data[since:end])
    return Parts(b"".join(kept), request_id, raws)


def _size(data: bytes, at: int) -> tuple[int, int]:
    """A length and where it ends; -1 where there is none."""
    size = shift = 0
    for byte in data[at : at + _SIZE_BYTES_MAX]:
        at += 1
        size |= (byte & 127) << shift
        if byte < 128:  # noqa: PLR2004 - the last byte of a number
            return size, at
        shift += 7
    return -1, at


def _parse(data: bytes) -> Parts:
    try:
        message = InferRequest.FromString(data)
        head = InferRequest.FromString(data)
    except DecodeError as error:
        raise BadRequest(f"the message is no ModelInferRequest: {error}") from error
    head.ClearField("raw_input_contents")
    head.ClearField("id")
    raws = [memoryview(raw) for raw in message.raw_input_contents]
    return Parts(head.SerializeToString(deterministic=True), message.id.encode(), raws)
