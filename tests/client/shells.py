"""The two clients behind one face, and servers that misbehave as told."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

from ringserve import AsyncClient, Client

OK = b'{"model_name": "m", "outputs": []}'
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(OK), OK)
BUSY = b"HTTP/1.1 %d X\r\nRetry-After: 0\r\nContent-Length: 15\r\n\r\n" + b'{"error":"busy"}'[:15]
LATE = b"HTTP/1.1 408 X\r\nContent-Length: 0\r\n\r\n"
LINGER_NOT = struct.pack("ii", 1, 0)


class InLoop:
    """An `AsyncClient` whose calls are run to their end one by one."""

    def __init__(self, url: str, **more: Any) -> None:  # noqa: ANN401 - the client's own
        self._runner = asyncio.Runner()
        self._client = AsyncClient(url, **more)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._client.close())
        self._runner.close()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)
        return lambda *given, **named: self._runner.run(method(*given, **named))


def blocking(url: str, **more: Any) -> Client:  # noqa: ANN401
    return Client(url, **more)


Maker = Callable[..., Any]
SHELLS: list[Maker] = [blocking, InLoop]


class Scripted:
    """A server that does with each request what the next line of its script says.

    Attributes:
        seen: The requests, whole.
        left: Set when the client has closed a connection that was kept silent, or `LATE` is sent.
        go: Set by the test for `LATE` to be sent.
        connections: How many there were.
        url: Where it listens.
    """

    def __init__(self, script: Sequence[bytes | str], listener: socket.socket) -> None:
        self.seen: list[bytes] = []
        self.connections = 0
        self.left = threading.Event()
        self.go = threading.Event()
        self._script = list(script)
        self._listener = listener
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    def serve(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with peer:
                peer.settimeout(20)
                while self._step(peer):
                    pass

    def _step(self, peer: socket.socket) -> bool:
        """Take one request and answer it; False where the connection is over."""
        data = b""
        while not _is_whole(data):
            try:
                part = peer.recv(1 << 16)
            except OSError:
                return False
            if not part:
                return False
            data += part
        self.seen.append(data)
        line = self._script.pop(0) if self._script else GOOD
        if line == "reset":
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
            return False
        if line == "close":
            return False
        if line == "late":
            peer.sendall(GOOD)
            assert self.go.wait(20)
            peer.sendall(LATE)
            self.left.set()
            return False
        if line == "silence":
            while peer.recv(1 << 16):
                pass
            self.left.set()
            return False
        assert isinstance(line, bytes)
        peer.sendall(line)
        return line.startswith(b"HTTP") and b"Connection: close" not in line and b"Content-Length" in line


def _is_whole(data: bytes) -> bool:
    head, end, body = data.partition(b"\r\n\r\n")
    size = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return bool(end) and len(body) >= int(size)


@contextmanager
def scripted(*script: bytes | str) -> Iterator[Scripted]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Scripted(script, listener)
        thread = threading.Thread(target=server.serve)
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
