"""Log lines for people: one line an event, to standard error, quiet unless something happened.

The standard library's `logging` and not structlog, which costs a quarter of a second of import at each start.
"""

from __future__ import annotations

import logging
import sys
from typing import TextIO

_LIBRARIES = ("uvicorn", "uvicorn.access", "uvicorn.error", "asyncio")


class _OneLine(logging.Formatter):
    """Writes `12:00:00 warning worker_1: text (ValueError: reason)`; a traceback only at level debug."""

    def __init__(self, who: str, with_traceback: bool) -> None:
        super().__init__(datefmt="%H:%M:%S")
        self._who = f"{who}: " if who else ""
        self._with_traceback = with_traceback

    def format(self, record: logging.LogRecord) -> str:
        """Make the one line."""
        text = " ".join(record.getMessage().splitlines())
        failure = record.exc_info[1] if record.exc_info else None
        if failure is not None:
            reason = " ".join(str(failure).splitlines())
            text += f" ({type(failure).__name__}: {reason})"
        line = f"{self.formatTime(record, self.datefmt)} {record.levelname.lower()} {self._who}{text}"
        if record.exc_info and failure is not None and self._with_traceback:
            line += "\n" + self.formatException(record.exc_info)
        return line


def set_up_logs(level: str, who: str = "", stream: TextIO | None = None) -> None:
    """Send everything this process logs to standard error, one line an event.

    Args:
        level: "debug", "info", "warning" or "error": the least important lines to show.
        who: The process's name, in front of each text, which tells several on one terminal apart.
        stream: Where to, if not standard error.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_OneLine(who, with_traceback=level == "debug"))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in _LIBRARIES:  # what they say at info we say better, or not at all
        logging.getLogger(name).setLevel(logging.DEBUG if level == "debug" else logging.WARNING)
