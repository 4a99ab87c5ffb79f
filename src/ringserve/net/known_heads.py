"""Heads of requests seen before: a client repeats its own, byte for byte, with every request.

The parser has read such a head once and found it to be that of a plain request for a hot route. The same
bytes mean the same again, so a look-up takes the place of some ten calls back from the parser: a gateway
spends a fifth less on a small request. Nothing is learnt from a head whose end could be seen differently (a
bare line feed in it), nor from one that closes the connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringserve.core.signature import Salt
    from ringserve.net.key_ring import KeyCheck
    from ringserve.net.plain_head import PlainHead

HEADS_MAX = 256
"""Heads remembered; one more and all are learnt anew. A client has one for each length of its bodies."""
HEAD_BYTES_MAX = 1024
END = b"\r\n\r\n"


Request = tuple[bytes, "PlainHead", "Salt | None"]
"""A body, its head, and what sets its caller's part of the cache apart."""


class KnownHeads:
    """The heads that one listener remembers, by their bytes up to the empty line."""

    __slots__ = ("_heads",)

    def __init__(self) -> None:
        """Know none."""
        self._heads: dict[bytes, PlainHead] = {}

    def __len__(self) -> int:
        """How many are known."""
        return len(self._heads)

    def cut(self, data: bytes, check: KeyCheck | None) -> tuple[list[Request], int]:
        """Cut off the whole requests that `data` begins with, as long as their heads are known.

        Args:
            data: Bytes of a connection on which no request is half read.
            check: Lets callers in by their API keys, and counts them; None where nobody is asked for one.

        Returns:
            The requests, and how many bytes they take. One that is not let in is left to the parser's way.
        """
        requests: list[Request] = []
        start, size = 0, len(data)
        while start < size:
            end = data.find(END, start, start + HEAD_BYTES_MAX + len(END))
            known = self._heads.get(data[start:end]) if end > 0 else None
            if known is None:
                break
            body = end + len(END)
            stop = body + known.length
            if stop > size or (check is not None and check.refusal_of(known.headers) is not None):
                break
            requests.append((data[body:stop], known, None if check is None else check.salt))
            start = stop
        return requests, start

    def learn(self, request: bytes, known: PlainHead) -> None:
        """Remember the head of a request that was read whole from these very bytes.

        Args:
            request: Head, empty line and body: all of one request and nothing else.
            known: The head as the parser saw it.
        """
        end = request.find(END)
        head = request[:end]
        plain = 0 < end <= HEAD_BYTES_MAX and end + len(END) + known.length == len(request)
        if plain and head.startswith(b"POST ") and head.count(b"\n") == head.count(b"\r\n"):
            if len(self._heads) >= HEADS_MAX:
                self._heads.clear()
            self._heads[head] = known
