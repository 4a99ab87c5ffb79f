"""A worker that answers nonsense: its link is closed, and its requests are answered by another one."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ringserve.models.digits import digits_path
from ringserve.wire import records
from ringserve.wire.frames import FROM_GATEWAY, HEADER, FrameReader, Kind, frame
from tests.hostile.neighbour import beside, image
from tests.hostile.stranger import Stranger
from tests.integration.servers import Server, Servers, until

UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: ringserve-link\r\n\r\n"
LAYOUT = b'[[["probabilities","FP32",[1,10]]]]'
STRINGS = b'[[["probabilities","BYTES",[2]]]]'
DEPTH = struct.pack("<I", 0)


def answer(number: int, layout: bytes, payload: bytes, status: int = 0) -> bytes:
    """A frame with one answer."""
    head = records.ANSWER.pack(number, status, 1, len(layout), len(payload))
    return frame(Kind.ANSWERS, DEPTH + head + layout + payload)


LIES: dict[str, Callable[[int], bytes]] = {
    "fewer bytes than its layout says": lambda number: answer(number, LAYOUT, bytes(39)),
    "more bytes than its layout says": lambda number: answer(number, LAYOUT, bytes(41)),
    "fewer strings than its layout says": lambda number: answer(number, STRINGS, bytes(4)),
    "more strings than its layout says": lambda number: answer(number, STRINGS, bytes(12)),
    "a layout without outputs": lambda number: answer(number, b"[[]]", b""),
    "a layout that is none": lambda number: answer(number, b"\xff" * 50, b""),
    "a deep layout": lambda number: answer(number, b"[" * 60_000, b""),
    "a layout beyond any size": lambda number: answer(number, b'[[["y","FP32",[1099511627776]]]]', b""),
    "an unknown status": lambda number: answer(number, LAYOUT, bytes(40), status=99),
    "half a record": lambda _number: frame(Kind.ANSWERS, DEPTH + b"abc"),
    "no depth": lambda _number: frame(Kind.ANSWERS, b"a"),
    "a second hello": lambda _number: frame(Kind.HELLO, b"{}"),
    "a gateway's kind": lambda _number: frame(Kind.GOODBYE),
    "an unknown kind": lambda _number: HEADER.pack(0, 77),
    "a frame beyond its limit": lambda _number: HEADER.pack(0xFFFFFFFF, Kind.ANSWERS),
    "a short pong": lambda _number: frame(Kind.PONG, b"abc"),
    "HTTP": lambda _number: b"HTTP/1.1 200 OK\r\n\r\n",
}


class Liar:
    """Greets like a worker of the model, and tells one lie for each link that brings it a request."""

    def __init__(self, hello: bytes) -> None:
        """Listen."""
        self.told: list[str] = []
        self._hello = hello
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(0.2)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="liar")
        self._thread.start()

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return f"127.0.0.1:{self._socket.getsockname()[1]}"

    def end(self) -> None:
        """Stop listening."""
        self._ended.set()
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while not self._ended.is_set():
            try:
                link, _ = self._socket.accept()
            except TimeoutError:
                continue
            with link:
                link.settimeout(0.2)
                self._lie(link)

    def _lie(self, link: socket.socket) -> None:
        reader, greeted = FrameReader(FROM_GATEWAY, 1 << 24), False
        while not self._ended.is_set():
            try:
                data = link.recv(1 << 16)
            except TimeoutError:
                continue
            except ConnectionResetError:
                return
            if not data:
                return
            if not greeted:
                greeted = True
                link.sendall(UPGRADED + frame(Kind.HELLO, self._hello))
                data = data.partition(b"\r\n\r\n")[2]
            for kind, body in reader.feed(data):
                if kind == Kind.PING:
                    link.sendall(frame(Kind.PONG, records.PONG.pack(0.0, 0.0, 0, 0)))
                elif kind == Kind.REQUESTS:
                    lie = list(LIES)[len(self.told) % len(LIES)]
                    self.told.append(lie)
                    link.sendall(LIES[lie](records.read_requests(body)[0].id))


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[tuple[Server, Liar]]:
    with Servers(tmp_path) as servers:
        worker = servers.worker(digits_path())
        with Stranger(worker) as stranger:
            hello = stranger.greeting.replace(b'"worker_1"', b'"liar"')
        liar = Liar(hello)
        try:
            flags = ("--failure-threshold", "1000000")
            command = ("gateway", "--port", "0", "--grpc-port", "0", *flags, worker.address, liar.address)
            gateway = servers.start(*command).wait_ready()
            until(lambda: bool(gateway.get("/health").json["workers_up"] == 2), gateway.log)
            yield gateway, liar
        finally:
            liar.end()


def test_no_caller_sees_what_a_lying_worker_says(fleet: tuple[Server, Liar]) -> None:
    gateway, liar = fleet
    asked = iter(range(500_000_000, 600_000_000))

    def all_told() -> bool:
        answer = gateway.infer(image(next(asked)))
        assert answer.status == 200, answer.body
        assert answer.json["node_id"] == "worker_1"
        return set(liar.told) == set(LIES)

    with beside(gateway):
        until(all_told, lambda: set(LIES) - set(liar.told))
    assert " error " not in gateway.log()
