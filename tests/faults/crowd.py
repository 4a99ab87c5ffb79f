"""A crowd of clients that never retry: each keeps one connection, and every answer is kept to be checked.

A client asks for one distinct input after the other. What counts as lost is a request that was sent and got
no whole answer. A connection that the server announced to close (`Connection: close`) is opened anew; one
that was refused was never accepted and is counted apart.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnxruntime
import orjson

COLUMNS = 4
ROWS_CHECKED_AT_ONCE = 4096
PAUSE_AFTER_REFUSAL_S = 0.02


@dataclass(frozen=True, slots=True)
class Shot:
    """One request and what became of it; times are seconds of the monotonic clock.

    Attributes:
        number: Says which input it was.
        began: When it was sent.
        ended: When its answer was whole, or the connection broke.
        status: The HTTP status; 0 where there was no answer.
        output: What the model answered; empty for an error.
        retry_after: Whether the answer told when to come again.
    """

    number: int
    began: float
    ended: float
    status: int
    output: tuple[float, ...] = ()
    retry_after: bool = False

    @property
    def took_s(self) -> float:
        """How long the caller waited."""
        return self.ended - self.began


def row_of(number: int) -> list[float]:
    """The input of this number: exact in float32, different for each."""
    return [float(number & 0xFFFF), float(number >> 16), 1.0, 2.0]


class _Connection(asyncio.Protocol):
    """Sends one request at a time and gathers its answer."""

    def __init__(self) -> None:
        self._data = b""
        self._answer: asyncio.Future[tuple[int, bytes, bytes]] | None = None
        self._transport: asyncio.Transport | None = None
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("closed without an answer"))

    def data_received(self, data: bytes) -> None:
        self._data += data
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._data[:end].lower()
        size = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(self._data) >= end + 4 + size and self._answer is not None and not self._answer.done():
            body, self._data = self._data[end + 4 : end + 4 + size], b""
            self._answer.set_result((int(head.split(b" ", 2)[1]), head, body))

    async def ask(self, data: bytes) -> tuple[int, bytes, bytes]:
        """Send and wait for status, head in lower case, body."""
        assert self._transport is not None
        if self.closed:
            raise ConnectionResetError("closed before the request")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(data)
        return await self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


@dataclass
class Crowd:
    """Clients of one port.

    Attributes:
        port: Where they ask.
        shots: Every request so far.
        refused: Connections that were refused.
        waiting: Requests without an answer.
    """

    port: int
    clients: int = 50
    host: str = "127.0.0.1"
    shots: list[Shot] = field(default_factory=list)
    refused: int = 0
    waiting: int = 0
    _next: int = 0
    _stopped: bool = False

    def stop(self) -> None:
        """Let each client end with the answer it waits for."""
        self._stopped = True

    @contextmanager
    def running(self) -> Iterator[None]:
        """Ask in a thread of its own until the block is left and each client has its last answer."""
        failures: list[BaseException] = []

        def work() -> None:
            try:
                asyncio.run(self.run())
            except BaseException as error:  # noqa: BLE001 - raised again where the block is left
                failures.append(error)

        thread = threading.Thread(target=work, name="crowd")
        thread.start()
        try:
            yield
        finally:
            self.stop()
            thread.join()
        if failures:
            raise failures[0]

    async def run(self) -> None:
        """Ask until stopped."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(self.clients):
                tasks.create_task(self._client(), name=f"client {number}")

    async def offer(self, rate: float, seconds: float) -> None:
        """Ask at a rate that does not heed the answers, each request on a connection that is free then."""
        idle: list[_Connection] = []
        began, sent = time.monotonic(), 0
        async with asyncio.TaskGroup() as tasks:
            while (now := time.monotonic()) - began < seconds:
                while sent < (now - began) * rate:
                    sent += 1
                    tasks.create_task(self._once(idle), name="offered")
                await asyncio.sleep(0.002)
        for connection in idle:
            connection.close()

    async def _once(self, idle: list[_Connection]) -> None:
        connection = idle.pop() if idle else await self._open()
        if connection is not None and await self._shoot(connection):
            idle.append(connection)

    async def _client(self) -> None:
        connection: _Connection | None = None
        while not self._stopped:
            connection = connection or await self._open()
            if connection is None:
                await asyncio.sleep(PAUSE_AFTER_REFUSAL_S)
            elif not await self._shoot(connection):
                connection = None
        if connection is not None:
            connection.close()

    async def _open(self) -> _Connection | None:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(_Connection, self.host, self.port)
        except OSError:
            self.refused += 1
            return None
        return connection

    async def _shoot(self, connection: _Connection) -> bool:
        """Send one request; returns whether the connection may be used again."""
        self._next += 1
        number = self._next
        body = orjson.dumps({"input_data": row_of(number)})
        head = b"POST /infer HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
        began = time.monotonic()
        self.waiting += 1
        try:
            status, answer_head, answer = await connection.ask(head + body)
        except OSError:
            self.shots.append(Shot(number, began, time.monotonic(), 0))
            return False
        finally:
            self.waiting -= 1
        output = tuple(orjson.loads(answer)["output_data"]) if status == 200 else ()
        retry = b"\r\nretry-after:" in answer_head
        self.shots.append(Shot(number, began, time.monotonic(), status, output, retry))
        if b"\r\nconnection: close" in answer_head:
            connection.close()
            return False
        return True


@dataclass(frozen=True, slots=True)
class Tally:
    """What came of a crowd's requests."""

    sent: int
    right: int
    wrong: int
    lost: int
    refused: Counter[int]
    worst_s: float

    def faultless(self) -> bool:
        """Whether every request was answered, and right."""
        return self.right == self.sent


def tally(shots: Sequence[Shot], model: Path) -> Tally:
    """Compare every answer with what onnxruntime itself says."""
    answered = [shot for shot in shots if shot.status == 200]
    right = 0
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    for start in range(0, len(answered), ROWS_CHECKED_AT_ONCE):
        part = answered[start : start + ROWS_CHECKED_AT_ONCE]
        rows = np.array([row_of(shot.number) for shot in part], np.float32)
        (expected,) = session.run(None, {session.get_inputs()[0].name: rows})
        outputs = np.array([shot.output for shot in part], np.float32)
        right += int(np.isclose(outputs, expected, rtol=1e-5, atol=1e-5).all(axis=1).sum())
    return Tally(
        sent=len(shots),
        right=right,
        wrong=len(answered) - right,
        lost=sum(shot.status == 0 for shot in shots),
        refused=Counter(shot.status for shot in shots if shot.status not in (0, 200)),
        worst_s=max((shot.took_s for shot in shots), default=0.0),
    )
