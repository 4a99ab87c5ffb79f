"""API keys in use: read, read again when their file changes, and asked for at each request."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ringserve.core.api_keys import KeyTable, parse_keys, presented_key
from ringserve.core.signature import Salt, salt_of
from ringserve.errors import Unauthorized, UsageError
from ringserve.net.watched_files import WatchedFiles, read_small

if TYPE_CHECKING:
    from collections.abc import Iterable

log = logging.getLogger(__name__)
FILE_BYTES_MAX = 4 << 20
SALT = "ringserve.salt"
"""Where a request's scope says what sets its caller's part of the cache apart."""
MISSING = Unauthorized(
    "this server asks for an API key; send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`"
)
UNKNOWN = Unauthorized("the API key is none that is let in here; ask whoever runs this server for one")
_NAMES = frozenset({b"authorization", b"x-api-key"})


class KeyRing:
    """The keys that are let in now.

    Attributes:
        counts: Requests by label.
        generation: Another number after each change of the file: what was let in before may not be now.
    """

    def __init__(self, path: str, *, salted: bool) -> None:
        """Read the file.

        Args:
            path: The file.
            salted: Whether each label has a part of the cache of its own.

        Raises:
            UsageError: It cannot be read, or a line of it is wrong.
        """
        self._path = path
        self._salted = salted
        self._watched = WatchedFiles([path])
        self.generation = 0
        self.counts: dict[str, int] = {}
        self._salts: dict[str, Salt] = {}
        self._table = KeyTable({})
        self._take(_read(path))

    def refresh(self) -> None:
        """Read the file again if it has changed; a broken one leaves everything as it was."""
        if not self._watched.changed():
            return
        before = set(self.counts)
        try:
            self._take(_read(self._path))
        except UsageError as error:
            log.warning("the API keys stay as they were: %s", error)
            return
        after = set(self.counts)
        changes = [("new", after - before), ("gone", before - after)]
        told = [f"{word}: {', '.join(sorted(labels))}" for word, labels in changes if labels]
        log.info("%d API keys were read again%s", len(self._table), "; " * bool(told) + "; ".join(told))

    def label_of(self, authorization: bytes | None, x_api_key: bytes | None) -> str | None:
        """Whose request shows these headers; None where it shows no key that is let in."""
        key = presented_key(authorization, x_api_key)
        return None if key is None else self._table.label_of(key)

    def salt_of(self, label: str) -> Salt | None:
        """What sets this label's part of the cache apart; None where all share it."""
        return self._salts.get(label)

    def _take(self, table: KeyTable) -> None:
        self._table = table
        self.generation += 1
        self.counts = {label: self.counts.get(label, 0) for label in table.labels}
        if self._salted:
            self._salts = {label: salt_of(label) for label in table.labels}
        if not len(table):
            log.warning("%s lists no key: nobody is let in", self._path)


class KeyCheck:
    """Who the requests of one connection come from. It remembers the last, which is mostly the next.

    Attributes:
        salt: What sets the last caller's part of the cache apart.
    """

    __slots__ = ("_generation", "_label", "_ring", "_shown", "salt")

    def __init__(self, ring: KeyRing) -> None:
        """Nobody has come yet."""
        self._ring = ring
        self._generation = -1
        self._shown: list[tuple[bytes, bytes]] | None = None
        self._label = ""
        self.salt: Salt | None = None

    def refusal_of(self, headers: Iterable[tuple[bytes, bytes]]) -> Unauthorized | None:
        """Why a request with these headers is not let in; None where it is, and then it is counted."""
        shown = [header for header in headers if header[0] in _NAMES]
        if not shown:
            return MISSING
        ring = self._ring
        known = shown == self._shown and ring.generation == self._generation
        if not known and not self._look_up(shown):
            return UNKNOWN
        ring.counts[self._label] += 1
        return None

    def _look_up(self, shown: list[tuple[bytes, bytes]]) -> bool:
        """Remember whose headers these are; a header that is there twice is nobody's."""
        ring = self._ring
        by_name = dict(shown)
        twice = len(by_name) < len(shown)
        label = None if twice else ring.label_of(by_name.get(b"authorization"), by_name.get(b"x-api-key"))
        if label is None:
            self._shown = None
            return False
        self._shown, self._generation, self._label = shown, ring.generation, label
        self.salt = ring.salt_of(label)
        log.debug("a connection is used by %s", label)
        return True


def _read(path: str) -> KeyTable:
    content = read_small(path, "--api-keys", FILE_BYTES_MAX)
    try:
        return parse_keys(content.decode())
    except ValueError as error:  # bad UTF-8 among them
        raise UsageError(f"--api-keys: {path}: {error}") from error
