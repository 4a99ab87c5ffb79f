"""The bytes of an HTTP answer: built the same for the fast path and the ordinary one."""

from __future__ import annotations

import math
from collections.abc import Iterable
from email.utils import formatdate
from http import HTTPStatus

import orjson

from ringserve.errors import ServeError, Unauthorized
from ringserve.wire.hello import PROTOCOL

Headers = list[tuple[bytes, bytes]]
STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}
JSON_TYPE = b"application/json"
BINARY_TYPE = b"application/octet-stream"
JSON_SIZE = b"inference-header-content-length"


def default_headers() -> Headers:
    """What every answer carries; made anew each second, since it tells the time."""
    return [(b"date", formatdate(usegmt=True).encode()), (b"server", b"ringserve")]


def headers_of(body: bytes, error: ServeError | None = None, json_size: int | None = None) -> Headers:
    """The headers that belong to this body; arguments as those of `response`."""
    headers = [(b"content-type", JSON_TYPE)]
    if json_size is not None:
        headers = [(b"content-type", BINARY_TYPE), (JSON_SIZE, b"%d" % json_size)]
    headers.append((b"content-length", b"%d" % len(body)))
    if error is not None and error.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(error.retry_after_s))))
    if isinstance(error, Unauthorized):
        headers.append((b"www-authenticate", b"Bearer"))
    return headers


def error_body(sentence: str) -> bytes:
    """The body of every answer that is no success."""
    return orjson.dumps({"error": sentence.encode("utf-8", "replace").decode()})


def head_bytes(headers: Headers) -> bytes:
    """Headers as they go over the wire."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def upgrade_answer(more: Iterable[tuple[str, str]]) -> bytes:
    """The head of the answer that turns a connection into a link."""
    lines = ["HTTP/1.1 101 Switching Protocols", "connection: Upgrade", f"upgrade: {PROTOCOL}"]
    return "\r\n".join([*lines, *(f"{name}: {value}" for name, value in more), "", ""]).encode()


def response(
    status: int,
    head: bytes,
    body: bytes,
    *,
    error: ServeError | None = None,
    close: bool = False,
    json_size: int | None = None,
) -> bytes:
    """A whole answer.

    Args:
        status: The HTTP status.
        head: `head_bytes(default_headers())`.
        body: JSON, with binary tensors behind it or without.
        error: Adds what the error asks for, such as Retry-After.
        close: Whether the connection closes after it.
        json_size: Bytes of JSON at the body's beginning; None where it is nothing else.
    """
    if error is None and not close and json_size is None:
        return b"%b%bcontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
            STATUS_LINES[status],
            head,
            len(body),
            body,
        )
    own = head_bytes(headers_of(body, error, json_size))
    return b"".join(
        [STATUS_LINES[status], head, own, b"connection: close\r\n" if close else b"", b"\r\n", body]
    )
