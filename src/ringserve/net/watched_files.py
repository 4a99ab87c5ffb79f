"""Files that may be replaced while the process runs."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from ringserve.errors import UsageError

_Stamp = tuple[int, int, int] | None


class WatchedFiles:
    """Tells when one of a few files has become another: its inode, size or time of change differs.

    A change is told once. Make it, or ask it, *before* the files are read: what changes in between is then
    seen the next time.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        """Begin with the files as they are."""
        self._paths = tuple(paths)
        self._stamps = self._look()

    def changed(self) -> bool:
        """Whether one differs from what it was when this was last asked."""
        before, self._stamps = self._stamps, self._look()
        return self._stamps != before

    def _look(self) -> list[_Stamp]:
        return [_stamp(path) for path in self._paths]


def read_small(path: str, flag: str, bytes_max: int) -> bytes:
    """Read a file that a flag names.

    Raises:
        UsageError: It cannot be read, or is longer than this.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(bytes_max + 1)
    except OSError as error:
        raise UsageError(f"{flag}: cannot read {path}: {error.strerror or error}") from error
    if len(content) > bytes_max:
        raise UsageError(f"{flag}: {path} is longer than {bytes_max} bytes, which no such file is")
    return content


def _stamp(path: str) -> _Stamp:
    try:
        seen = os.stat(path)  # noqa: PTH116 - once a second for each file, in the event loop
    except OSError:
        return None
    if not stat.S_ISREG(seen.st_mode):
        return None  # a pipe (`<(command)`) can be read once, and would block the second time
    return seen.st_ino, seen.st_size, seen.st_mtime_ns
