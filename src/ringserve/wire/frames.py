"""The link's frames: bytes in, frames out, whatever way the bytes were cut.

A frame is a 4-byte little-endian length of its body, one byte that tells its kind, and the body. A link
begins with one HELLO each way; after it each end may send the kinds in `FROM_GATEWAY` or `FROM_WORKER`.
Anything else is a `LinkError`, after which the link is of no use and must be closed::

    kind          from      body
    1 HELLO       both      JSON, see `hello`
    2 REQUESTS    gateway   records, see `records`
    3 ANSWERS     worker    queue depth, then records
    4 CANCEL      gateway   4-byte numbers of requests nobody waits for any more
    5 PING        gateway   empty
    6 PONG        worker    age of the oldest run, slowest run, runs finished, queue depth
    7 GOING_AWAY  worker    empty: send me nothing new
    8 GOODBYE     gateway   empty: nothing of mine is left with you
    9 MODELS      worker    JSON: the models it has now, see `hello`
    10 CONTROL    gateway   JSON: load or unload a model, or tell statistics, see `control`
    11 CONTROLLED worker    JSON: what came of it
"""

from __future__ import annotations

import enum
from struct import Struct

HEADER = Struct("<IB")
HELLO_BYTES_MAX = 1 << 20
CANCEL_BYTES_MAX = 1 << 20
CONTROL_BYTES_MAX = 1 << 14
MODELS_BYTES_MAX = 1 << 24
"""What a worker says of its models, in its hello too: a hundred models with a thousand tensors each."""


class Kind(enum.IntEnum):
    """What a frame carries."""

    HELLO = 1
    REQUESTS = 2
    ANSWERS = 3
    CANCEL = 4
    PING = 5
    PONG = 6
    GOING_AWAY = 7
    GOODBYE = 8
    MODELS = 9
    CONTROL = 10
    CONTROLLED = 11


_BYTES_MAX = {
    Kind.CANCEL: CANCEL_BYTES_MAX,
    Kind.PING: 0,
    Kind.PONG: 28,
    Kind.GOING_AWAY: 0,
    Kind.GOODBYE: 0,
    Kind.MODELS: MODELS_BYTES_MAX,
    Kind.CONTROL: CONTROL_BYTES_MAX,
    Kind.CONTROLLED: MODELS_BYTES_MAX,
}
"""The longest body of the kinds that need not be long: a list of numbers is many times that in memory."""

FROM_GATEWAY = frozenset({Kind.REQUESTS, Kind.CANCEL, Kind.PING, Kind.GOODBYE, Kind.CONTROL})
FROM_WORKER = frozenset({Kind.ANSWERS, Kind.PONG, Kind.GOING_AWAY, Kind.MODELS, Kind.CONTROLLED})


class LinkError(Exception):
    """The other end broke the link's rules; the sentence says which."""


def frame(kind: Kind, body: bytes = b"") -> bytes:
    """Wrap a body."""
    return HEADER.pack(len(body), kind) + body


class FrameReader:
    """Cuts a stream of bytes into frames.

    Memory is bounded by one frame of `frame_bytes_max`, and a length is checked before its bytes are awaited.
    """

    __slots__ = ("_buffer", "_greeted", "_hello_bytes_max", "_longest")

    def __init__(
        self, allowed: frozenset[Kind], frame_bytes_max: int, hello_bytes_max: int = HELLO_BYTES_MAX
    ) -> None:
        """Begin before the hello.

        Args:
            allowed: Kinds that may follow the hello.
            frame_bytes_max: The longest body.
            hello_bytes_max: The longest hello.
        """
        self._hello_bytes_max = hello_bytes_max
        self._longest = {int(kind): _BYTES_MAX.get(kind, frame_bytes_max) for kind in allowed}
        self._buffer = bytearray()
        self._greeted = False

    @property
    def is_waiting(self) -> bool:
        """Whether more bytes must come: the hello is missing, or a frame has begun and not ended."""
        return not self._greeted or len(self._buffer) > 0

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Take bytes as they come and return the frames they complete, in order.

        Raises:
            LinkError: A kind that may not come here, or a body that is too long.
        """
        frames: list[tuple[int, bytes]] = []
        if not self._buffer:
            # The common case: whole frames in one read, cut from it without another copy.
            used = self._cut(data, frames)
            if used < len(data):
                self._buffer += data[used:]
            return frames
        self._buffer += data
        if len(self._buffer) >= HEADER.size:
            length, kind = HEADER.unpack_from(self._buffer)
            self._check(length, kind)
            if len(self._buffer) < HEADER.size + length:
                return frames
        whole = bytes(self._buffer)
        used = self._cut(whole, frames)
        del self._buffer[:used]
        return frames

    def _cut(self, data: bytes, frames: list[tuple[int, bytes]]) -> int:
        start, end = 0, len(data)
        while end - start >= HEADER.size:
            length, kind = HEADER.unpack_from(data, start)
            self._check(length, kind)
            body = start + HEADER.size
            if end - body < length:
                break
            start = body + length
            frames.append((kind, data[body:start]))
            self._greeted = True
        return start

    def _check(self, length: int, kind: int) -> None:
        if not self._greeted:
            if kind != Kind.HELLO:
                raise LinkError(f"a link begins with a hello, got a frame of kind {kind}")
            if length > self._hello_bytes_max:
                raise LinkError(f"a hello of {length} bytes is longer than {self._hello_bytes_max}")
            return
        longest = self._longest.get(kind)
        if longest is None:
            raise LinkError(f"a frame of kind {kind} may not come here")
        if length > longest:
            raise LinkError(f"a frame of {length} bytes is longer than {longest}")
