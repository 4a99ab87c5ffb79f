"""HTTP/1.1 as the client speaks it, without I/O: the bytes of a request, and an answer as its bytes come.

The parser is the servers' own (httptools, which is llhttp): chunked answers, answers that end with the
connection, "100 Continue" before an answer. Redirects are not followed, and there are no proxies.
"""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

import httptools

from ringserve.client.errors import BadAnswer, ConnectionFailed

HEAD_BYTES_MAX = 1 << 18
"""Bytes before an answer's body; a server that sends more is none of ours."""
ANSWER_BYTES_MAX = 1 << 31
_INFORMATION = range(100, 200)
_UPGRADE = 101
_JSON_SIZE = b"inference-header-content-length"


class HttpAnswer(NamedTuple):
    """A whole answer.

    Attributes:
        status: The HTTP status.
        body: Without its chunks' frames.
        json_size: Bytes of JSON at the body's beginning; None where the server does not say.
        retry_after_s: When to come again, in seconds; None where the server does not say.
        keep_alive: Whether the connection takes another request.
    """

    status: int
    body: bytes
    json_size: int | None
    retry_after_s: float | None
    keep_alive: bool


class AnswerReader:
    """Reads one answer from a connection; feed it what comes until there is an answer."""

    __slots__ = (
        "_complete",
        "_head_bytes",
        "_headers",
        "_in_body",
        "_keep_alive",
        "_parser",
        "_parts",
        "_size",
        "_status",
    )

    def __init__(self) -> None:
        """Begin before the first byte."""
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._headers: dict[bytes, bytes] = {}
        self._parts: list[bytes] = []
        self._size = self._head_bytes = self._status = 0
        self._in_body = self._complete = self._keep_alive = False

    @property
    def begun(self) -> bool:
        """Whether anything has come."""
        return self._head_bytes > 0

    def feed(self, data: bytes) -> HttpAnswer | None:
        """Take bytes; the answer, once it is whole.

        Raises:
            BadAnswer: They are no HTTP, or too many.
        """
        parser = self._parser
        assert parser is not None, "an answer was read already"
        if not self._in_body:
            self._head_bytes += len(data)
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            raise BadAnswer("the server changes to another protocol, which nobody asked for") from None
        except httptools.HttpParserError as error:
            if not self._complete:
                raise BadAnswer(f"the answer is no HTTP: {error}: {data[:80]!r}") from None
            self._keep_alive = False  # bytes that nobody asked for follow the answer
        if self._complete:
            return self._whole()
        if not self._in_body and self._head_bytes > HEAD_BYTES_MAX:
            raise BadAnswer(f"the head of the answer has more than {HEAD_BYTES_MAX} bytes")
        if self._size > ANSWER_BYTES_MAX:
            raise BadAnswer(f"the answer has more than {ANSWER_BYTES_MAX} bytes")
        return None

    def feed_end(self) -> HttpAnswer:
        """The connection ended; the answer, where its end was the end of it.

        Raises:
            ConnectionFailed: It was not.
        """
        assert self._parser is not None, "an answer was read already"
        sized = b"content-length" in self._headers or b"transfer-encoding" in self._headers
        if self._in_body and not sized:
            self._keep_alive = False
            return self._whole()
        told = "in the middle of its answer" if self.begun else "without an answer"
        raise ConnectionFailed(f"the server closed the connection {told}", sent=True, answering=self.begun)

    def on_message_begin(self) -> None:
        """One more message: after a whole answer it is one that nobody asked for."""
        if self._complete:
            self._keep_alive = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header of the answer."""
        if not self._complete:
            self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """The end of a head."""
        if not self._complete:
            assert self._parser is not None
            self._status = self._parser.get_status_code()
            self._in_body = True

    def on_body(self, part: bytes) -> None:
        """A part of the body."""
        if not self._complete:
            self._parts.append(part)
            self._size += len(part)

    def on_message_complete(self) -> None:
        """The end of a message; an interim answer is none."""
        if self._complete:
            return
        parser = self._parser
        assert parser is not None
        if self._status in _INFORMATION and self._status != _UPGRADE:
            self._headers.clear()
            self._in_body = False
            return
        self._complete = True
        # Only now does the parser know: once it is through, it has forgotten.
        self._keep_alive = parser.should_keep_alive()

    def _whole(self) -> HttpAnswer:
        self._parser = None  # each holds the other, which only the collector would end
        headers = self._headers
        size = headers.get(_JSON_SIZE)
        return HttpAnswer(
            self._status,
            self._parts[0] if len(self._parts) == 1 else b"".join(self._parts),
            None if size is None else _whole_number(size),
            _seconds(headers.get(b"retry-after", b"")),
            self._keep_alive,
        )


def request_head(
    method: str, path: str, own: bytes, size: int, left_s: float, json_size: int | None = None
) -> bytes:
    """The head of a request.

    Args:
        method: GET or POST.
        path: Quoted.
        own: Headers that all requests of a client share, each with its line's end.
        size: Bytes of the body.
        left_s: The time that the server may take.
        json_size: Bytes of JSON at the body's beginning; None where all of it is.
    """
    packed = "" if json_size is None else f"Inference-Header-Content-Length: {json_size}\r\n"
    line = f"{method} {path} HTTP/1.1\r\n"
    timed = f"X-Request-Timeout-Ms: {_milliseconds(left_s)}\r\n"
    return b"%b%b%b" % (line.encode(), own, f"{packed}{timed}Content-Length: {size}\r\n\r\n".encode())


def _milliseconds(left_s: float) -> int:
    """The time left, a little more than less: servers know again a head that they have seen."""
    left_ms = max(1, ceil(left_s * 1000))
    return left_ms if left_ms < 1000 else -(-left_ms // 10) * 10  # noqa: PLR2004 - hundredths are enough


def _whole_number(value: bytes) -> int:
    try:
        return int(value)
    except ValueError:
        raise BadAnswer(f"Inference-Header-Content-Length of the answer is {value[:40]!r}") from None


def _seconds(value: bytes) -> float | None:
    """A Retry-After in seconds; one that is a date is not looked at."""
    return float(value) if value.isdigit() and len(value) < 10 else None  # noqa: PLR2004 - centuries
