"""One keep-alive HTTP/1.1 connection for the tools: blocking, timed, never repeating a request.

Why not `http.client`: its time limit holds for each read, so that a server that sends a byte now and then
keeps it for ever, and it cost 230 µs of CPU a request against 30–100 µs here (10,000 requests to a server
that answers a constant, 10 and 50 threads: 5,300 and 5,600 requests/s against 18,000–28,000 and 15,000).
A benchmark whose client is the bottleneck measures the client. The parser is the servers' own, httptools.

A server that asks for an API key is shown the one in RINGSERVE_API_KEY; one that speaks TLS is verified by
the system's authorities, or by those in the file that SSL_CERT_FILE names.
"""

from __future__ import annotations

import os
import socket
import ssl
from dataclasses import dataclass, field
from functools import cache
from time import perf_counter
from types import TracebackType
from typing import Self

import httptools

from ringserve.tools.address import Address

KEY_VARIABLE = "RINGSERVE_API_KEY"
ANSWER_BYTES_MAX = 256 * 1024 * 1024
_READ_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with its whole body."""

    status: int
    body: bytes
    server: str = ""


class CallError(Exception):
    """A request that got no whole answer; the text says why, in a few words."""


class RefusedError(CallError):
    """Nothing listens at the address."""


class UnreachableError(CallError):
    """No connection came about for another reason: an unknown name, no route, no answer in time."""


class CallTimeoutError(CallError):
    """The connection stands, but no whole answer came within the time limit."""


class LostError(CallError):
    """The connection was closed or reset before the whole answer had come."""


class NotHttpError(CallError):
    """What came back is no HTTP."""


@dataclass(slots=True)
class _Answer:
    """Collects what the parser finds."""

    parts: list[bytes] = field(default_factory=list)
    size: int = 0
    server: str = ""
    sized: bool = False
    headers_done: bool = False
    done: bool = False
    keep_alive: bool = False
    parser: httptools.HttpResponseParser | None = None

    def on_header(self, name: bytes, value: bytes) -> None:
        lowered = name.lower()
        if lowered == b"server":
            self.server = value.decode("latin-1")
        elif lowered in {b"content-length", b"transfer-encoding"}:
            self.sized = True

    def on_headers_complete(self) -> None:
        self.headers_done = True

    def on_body(self, part: bytes) -> None:
        self.parts.append(part)
        self.size += len(part)

    def on_message_complete(self) -> None:
        self.done = True
        # Only now does the parser know: once it is through, it has forgotten.
        self.keep_alive = self.parser is not None and self.parser.should_keep_alive()


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


class Caller:
    """A client of one server over one connection, opened when first needed and again when it was lost.

    Not safe for use by several threads. Call `close` when done, or use it in a `with` statement.
    """

    def __init__(self, address: Address, timeout_s: float) -> None:
        """Keep where to call and how long one call may take in all, connecting included."""
        self._address = address
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None
        key = os.environ.get(KEY_VARIABLE, "")
        shown = f"Authorization: Bearer {key}\r\n" if key else ""
        self._head = (
            f"HTTP/1.1\r\nHost: {address}\r\n{shown}Content-Type: application/json\r\nContent-Length: "
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, if there is one; the next call opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def get(self, path: str) -> Reply:
        """Send a GET; see `call`."""
        return self.call("GET", path, b"")

    def post(self, path: str, body: bytes) -> Reply:
        """Send a POST with a JSON body; see `call`."""
        return self.call("POST", path, body)

    def call(self, method: str, path: str, body: bytes) -> Reply:
        """Send one request, once, and wait for its whole answer.

        Returns:
            The answer, whatever its status.

        Raises:
            CallError: There was no whole answer; the connection is closed then.
        """
        deadline = perf_counter() + self._timeout_s
        try:
            connection = self._socket or self._connect(deadline)
            return self._exchange(
                connection, f"{method} {path} {self._head}{len(body)}\r\n\r\n".encode() + body, deadline
            )
        except BaseException:
            self.close()
            raise

    def _connect(self, deadline: float) -> socket.socket:
        try:
            limit = max(1e-3, deadline - perf_counter())
            self._socket = socket.create_connection((self._address.host, self._address.port), limit)
        except ConnectionRefusedError as error:
            raise RefusedError("connection refused") from error
        except TimeoutError as error:
            raise UnreachableError(f"no connection within {self._timeout_s:g} s") from error
        except OSError as error:
            raise UnreachableError(error.strerror or str(error)) from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._address.tls:
            self._socket = self._wrapped(self._socket)
        return self._socket

    def _wrapped(self, connected: socket.socket) -> socket.socket:
        try:
            return _tls().wrap_socket(connected, server_hostname=self._address.host)
        except ssl.SSLError as error:
            reason = getattr(error, "verify_message", "") or error.reason or str(error)
            raise UnreachableError(f"no TLS: {reason}") from error
        except TimeoutError as error:
            raise UnreachableError("no TLS in time") from error
        except OSError as error:
            raise LostError(f"connection lost: {error.strerror or error}") from error

    def _exchange(self, connection: socket.socket, request: bytes, deadline: float) -> Reply:
        answer = _Answer()
        parser = answer.parser = httptools.HttpResponseParser(answer)
        try:
            connection.settimeout(self._left(deadline))
            connection.sendall(request)
            while not answer.done:
                connection.settimeout(self._left(deadline))
                if not self._take(connection.recv(_READ_BYTES), parser, answer):
                    break
        except TimeoutError as error:
            raise CallTimeoutError(f"no answer within {self._timeout_s:g} s") from error
        except OSError as error:
            raise LostError(f"connection lost: {error.strerror or error}") from error
        except httptools.HttpParserError as error:
            raise NotHttpError("the answer is no HTTP") from error
        answer.parser = None  # each holds the other, which only the collector would end
        if not answer.keep_alive:
            self.close()
        return Reply(parser.get_status_code(), b"".join(answer.parts), answer.server)

    def _left(self, deadline: float) -> float:
        left = deadline - perf_counter()
        if left <= 0:
            raise TimeoutError
        return left

    @staticmethod
    def _take(data: bytes, parser: httptools.HttpResponseParser, answer: _Answer) -> bool:
        """Feed what came; False at an end of stream that is also the end of the answer."""
        if data:
            parser.feed_data(data)
            if answer.size > ANSWER_BYTES_MAX:
                raise LostError(f"the answer is over {ANSWER_BYTES_MAX:,} bytes")
            return True
        if answer.headers_done and not answer.sized:
            return False
        raise LostError(
            "connection closed before an answer" if not answer.headers_done else "answer cut short"
        )
