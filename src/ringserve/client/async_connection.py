"""A kept connection for asyncio: what comes wakes the one task that waits for it."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, cast

from ringserve.client.connection import reason_of, tls_failure
from ringserve.client.errors import ClientError, ConnectionFailed
from ringserve.client.http_message import AnswerReader

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from ringserve.client.http_message import HttpAnswer
    from ringserve.client.target import Target


class AsyncConnection(asyncio.Protocol):
    """One connection to a server.

    Attributes:
        kept: Whether it has brought an answer already.
        lost: Whether it is closed, by whomever.
    """

    __slots__ = ("_reader", "_transport", "_waiter", "kept", "lost")

    def __init__(self) -> None:
        """Begin unconnected; see `connect`."""
        self.kept = self.lost = False
        self._transport: asyncio.Transport | None = None
        self._reader: AnswerReader | None = None
        self._waiter: asyncio.Future[HttpAnswer] | None = None

    @classmethod
    async def connect(cls, target: Target) -> AsyncConnection:
        """Connect.

        Raises:
            ConnectionFailed: No connection came about.
        """
        loop = asyncio.get_running_loop()
        tls: ssl.SSLContext | None = target.tls
        host = None if tls is None else target.host
        try:
            _, connection = await loop.create_connection(
                cls, target.host, target.port, ssl=tls, server_hostname=host
            )
        except OSError as error:
            if tls is not None and not isinstance(error, ConnectionRefusedError | socket.gaierror):
                raise tls_failure(target, error) from error
            raise ConnectionFailed(f"no connection to {target}: {reason_of(error)}") from error
        return connection

    async def exchange(self, parts: Sequence[bytes | memoryview]) -> HttpAnswer:
        """Send one request and wait for its whole answer; close the connection if this raises.

        Raises:
            ConnectionFailed: The connection was lost.
            BadAnswer: What came is no HTTP.
        """
        if self.lost or self._transport is None:
            raise ConnectionFailed("the server has closed the connection")
        self._reader = AnswerReader()
        waiter = self._waiter = asyncio.get_running_loop().create_future()
        self._transport.writelines(parts)
        try:
            answer: HttpAnswer = await waiter
        finally:
            self._reader = self._waiter = None
        self.kept = True
        if self._transport.get_write_buffer_size():  # it did not wait for the whole body
            return answer._replace(keep_alive=False)
        return answer

    def close(self) -> None:
        """Close it, and drop what is not sent yet."""
        self.lost = True
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Bytes came; while nobody waits for any the connection is of no use."""
        reader, waiter = self._reader, self._waiter
        if reader is None or waiter is None or waiter.done():
            self.close()
            return
        try:
            answer = reader.feed(data)
        except ClientError as error:
            waiter.set_exception(error)
            return
        if answer is not None:
            self._reader = None
            waiter.set_result(answer)

    def eof_received(self) -> None:
        """The server sends no more."""
        self._end(None)

    def connection_lost(self, error: Exception | None) -> None:
        """It is closed."""
        self._end(error)

    def _end(self, error: Exception | None) -> None:
        self.lost = True
        reader, waiter = self._reader, self._waiter
        if reader is None or waiter is None or waiter.done():
            return
        try:
            if isinstance(error, OSError):
                raise ConnectionFailed(
                    f"the connection was lost: {reason_of(error)}", sent=True, answering=reader.begun
                )
            waiter.set_result(reader.feed_end())
        except ClientError as failure:
            waiter.set_exception(failure)
