"""The link's bytes by hand: a gateway that keeps no rule."""

from __future__ import annotations

import socket
import struct
from typing import Self

from ringserve.core.signature import Key, Signature, TensorLayout
from ringserve.core.tensor import DType
from ringserve.wire import records
from ringserve.wire.frames import FROM_WORKER, FrameReader, Kind, frame
from ringserve.wire.hello import decode_worker_hello, encode_gateway_hello
from tests.integration.servers import Server

OFFER = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: ringserve-link\r\n\r\n"
HELLO = frame(Kind.HELLO, encode_gateway_hello("stranger:1"))
LIMIT_S = 20.0


def signature(*shape: int, model: str = "digits", name: str = "pixels") -> bytes:
    """The encoded signature of one float32 input, however large it claims to be."""
    row = TensorLayout(name, DType.FP32, shape)
    return Signature(model, "", (row,)).encoded


def request_record(
    number: int, payload: bytes, encoded: bytes, left_s: float = 20.0, model: int = 1
) -> bytes:
    """One request; its key is made of its payload's beginning, which is all that a stranger needs."""
    key = Key(struct.pack("<I", number) + payload[:12].ljust(12, b"\0"))
    head = records.request_head(number, left_s, key, encoded, payload, model, fresh=False)
    return head + encoded + payload


class Stranger:
    """One link, opened as a gateway would."""

    def __init__(self, worker: Server, hello: bytes = HELLO) -> None:
        """Connect, ask for the link and greet."""
        self.socket = socket.create_connection((worker.host, worker.port), LIMIT_S)
        self.socket.sendall(OFFER)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.socket.recv(1)
        self.status = int(head.split()[1])
        self._reader = FrameReader(FROM_WORKER, 1 << 28)
        self._frames: list[tuple[int, bytes]] = []
        if self.status == 101:
            self.greeting = self.next(Kind.HELLO)
            self.hello = decode_worker_hello(self.greeting)
            self.socket.sendall(hello)

    def __enter__(self) -> Self:
        """Use as a context."""
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up."""
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes; a worker that closed meanwhile is no error."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return

    def next(self, kind: Kind) -> bytes:
        """The body of the next frame of this kind."""
        while True:
            while self._frames:
                got, body = self._frames.pop(0)
                if got == kind:
                    return body
            data = self.socket.recv(1 << 16)
            assert data, "the worker closed the link"
            self._frames += self._reader.feed(data)

    def answers(self, count: int) -> list[records.AnswerRecord]:
        """So many answers."""
        got: list[records.AnswerRecord] = []
        while len(got) < count:
            got += records.read_answers(self.next(Kind.ANSWERS))[1]
        return got

    def is_closed(self) -> bool:
        """Wait for the worker to close; what it says before is passed over."""
        try:
            while self.socket.recv(1 << 16):
                pass
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False
        return True
