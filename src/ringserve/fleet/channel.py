"""The supervisor's half of the channel to a child (the child's is `observe.beat`)."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass

_LINE_BYTES_MAX = 1 << 16
_READ_BYTES = 1 << 14


@dataclass(frozen=True, slots=True)
class Said:
    """One line of a child.

    Attributes:
        state: "starting", "ready" or "draining"; empty in a last word.
        healthy: Whether it calls itself so.
        fatal: The sentence it ended with; empty in a beat.
        incarnations: A worker's own; for a gateway, those of the workers it has links to.
    """

    state: str = ""
    healthy: bool = True
    fatal: str = ""
    incarnations: frozenset[str] = frozenset()


class LineReader:
    """Bytes of a child's end, in any pieces, to what it said; garbage is skipped, never raised."""

    def __init__(self) -> None:
        """Begin with nothing read."""
        self._rest = b""
        self._last: tuple[bytes, Said | None] = (b"", None)

    def feed(self, data: bytes) -> list[Said]:
        """Take the bytes that came and give the lines that are complete now."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LINE_BYTES_MAX:
            self._rest = b""
        return [said for said in map(self._parse, lines) if said is not None]

    def _parse(self, line: bytes) -> Said | None:
        if line != self._last[0]:  # nearly every beat says what the one before said
            self._last = (line, _said(line))
        return self._last[1]


class Channel:
    """A pair of sockets: one stays here, the other is handed to a child."""

    def __init__(self) -> None:
        """Make the pair; the child's end must be given away with `give_away` once it was inherited."""
        self._here, self._there = socket.socketpair()
        self._here.setblocking(False)
        self._reader = LineReader()
        self.ended = False

    @property
    def child_fd(self) -> int:
        """The descriptor the child inherits."""
        return self._there.fileno()

    def fileno(self) -> int:
        """The descriptor to wait on for reading."""
        return self._here.fileno()

    def give_away(self) -> None:
        """Close our copy of the child's end, so that its end of file is seen here and ours there."""
        self._there.close()

    def read(self) -> list[Said]:
        """Read what is there without waiting; sets `ended` at the end of file."""
        said: list[Said] = []
        while not self.ended:
            try:
                data = self._here.recv(_READ_BYTES)
            except BlockingIOError:
                break
            except ConnectionResetError:
                data = b""
            self.ended = not data
            said += self._reader.feed(data)
        return said

    def close(self) -> None:
        """Close both ends; a child that still lives takes this for the end of `up` and drains."""
        self._here.close()
        self._there.close()


def _said(line: bytes) -> Said | None:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict):
        return None
    if isinstance(message.get("fatal"), str):
        return Said(fatal=message["fatal"])
    if isinstance(message.get("state"), str):
        return Said(
            state=message["state"],
            healthy=message.get("healthy") is True,
            incarnations=_words(message.get("incarnations")),
        )
    return None


def _words(found: object) -> frozenset[str]:
    return (
        frozenset(word for word in found if isinstance(word, str)) if isinstance(found, list) else frozenset()
    )
