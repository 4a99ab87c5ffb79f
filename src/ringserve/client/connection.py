"""A kept connection for threads: blocking, within a time limit for the whole exchange.

Why not `http.client`: its time limit holds for each read, so that a server that sends a byte now and then
keeps it for ever.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
from time import monotonic
from typing import TYPE_CHECKING

from ringserve.client.errors import ConnectionFailed
from ringserve.client.http_message import AnswerReader, HttpAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringserve.client.target import Target

_READ_BYTES = 1 << 18
_JOINED_MAX = 1 << 16
"""A request up to this size is sent in one piece: pieces of their own would be packets of their own."""


class Connection:
    """One connection to a server, open until `close`.

    Attributes:
        kept: Whether it has brought an answer already.
    """

    __slots__ = ("_look", "_socket", "kept")

    def __init__(self, target: Target, deadline: float) -> None:
        """Connect.

        Raises:
            ConnectionFailed: No connection came about.
            TimeoutError: Not in time.
        """
        self.kept = False
        try:
            plain = socket.create_connection((target.host, target.port), _left(deadline))
        except OSError as error:
            if is_late(error):
                raise
            raise ConnectionFailed(f"no connection to {target}: {reason_of(error)}") from error
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = plain
        self._look = select.poll()
        self._look.register(plain.fileno(), select.POLLIN)
        if target.tls is None:
            return
        try:
            plain.settimeout(_left(deadline))
            self._socket = target.tls.wrap_socket(plain, server_hostname=target.host)
        except OSError as error:
            plain.close()
            if is_late(error):
                raise
            raise tls_failure(target, error) from error

    def is_quiet(self) -> bool:
        """Whether nothing has come since the last answer: neither its end nor bytes that nobody asked for."""
        return not self._look.poll(0)

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def exchange(self, parts: Sequence[bytes | memoryview], deadline: float) -> HttpAnswer:
        """Send one request and wait for its whole answer; close the connection if this raises.

        Raises:
            ConnectionFailed: The connection was lost.
            BadAnswer: What came is no HTTP.
            TimeoutError: The answer is not there in time.
        """
        reader = AnswerReader()
        lost = self._send(parts, deadline)
        connection = self._socket
        try:
            while True:
                connection.settimeout(_left(deadline))
                data = connection.recv(_READ_BYTES)
                answer = reader.feed(data) if data else reader.feed_end()
                if answer is not None:
                    self.kept = True
                    return answer if lost is None else answer._replace(keep_alive=False)
        except OSError as error:
            if is_late(error):
                raise
            cause = lost or error
            raise ConnectionFailed(
                f"the connection was lost: {reason_of(cause)}", sent=True, answering=reader.begun
            ) from cause

    def _send(self, parts: Sequence[bytes | memoryview], deadline: float) -> OSError | None:
        """Send all; a loss on the way is told later: who refuses a body answers before it closes."""
        connection = self._socket
        try:
            if sum(map(len, parts)) <= _JOINED_MAX:
                parts = (b"".join(parts),)
            for part in parts:
                connection.settimeout(_left(deadline))
                connection.sendall(part)
        except OSError as error:
            if is_late(error):
                raise
            return error
        return None


def tls_failure(target: Target, error: OSError) -> ConnectionFailed:
    """A handshake that came to nothing."""
    reason = getattr(error, "verify_message", "") or (error.reason if isinstance(error, ssl.SSLError) else "")
    return ConnectionFailed(f"no TLS with {target}: {reason or reason_of(error)}")


def reason_of(error: OSError) -> str:
    """Why a connection failed, in the system's words."""
    number = error.errno
    return os.strerror(number) if number is not None and number > 0 else error.strerror or str(error)


def is_late(error: OSError) -> bool:
    """Whether our own time was over; the kernel's time-out is a lost connection, and has a number."""
    return isinstance(error, TimeoutError) and error.errno is None


def _left(deadline: float) -> float:
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError
    return left
