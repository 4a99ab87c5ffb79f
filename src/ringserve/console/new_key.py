"""`ringserve key`: a random key for whoever calls, and the line that lets it in."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

from ringserve.core.api_keys import line_of, parse_keys
from ringserve.errors import UsageError

_KEY_BYTES = 32
_PREFIX = "rsk_"
"""Tells what it is where somebody finds it, and never looks like a flag."""


def show_new_key(label: str, file: Path | None) -> None:
    """Make a key; print it to standard output, and its line to the file or to standard error.

    Raises:
        UsageError: The label is none, or the file cannot be added to.
    """
    key = _PREFIX + secrets.token_urlsafe(_KEY_BYTES)
    try:
        line = line_of(label, key)
    except ValueError as error:
        raise UsageError(f"LABEL: {error}") from error
    if file is not None:
        _add(line, file)
    else:
        print(f"the line for the file of --api-keys: {line}", file=sys.stderr)  # noqa: T201
    print(key)  # noqa: T201 - the one place where a key is shown


def _add(line: str, file: Path) -> None:
    """Put a file in place that has this line as well: nobody ever reads half of it."""
    try:
        before = file.read_text(encoding="utf-8") if file.exists() else ""
        parse_keys(before)
        mode = file.stat().st_mode & 0o777 if file.exists() else 0o600
        beside = file.resolve().with_name(f".{file.name}.{os.getpid()}")
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as new:  # noqa: PTH123 - its mode is set as it is made
            new.write(f"{before}{'' if before.endswith(chr(10)) or not before else chr(10)}{line}\n")
        beside.replace(file.resolve())
    except OSError as error:
        raise UsageError(f"--add: cannot write {file}: {error.strerror or error}") from error
    except ValueError as error:
        raise UsageError(f"--add: {file} is no file of keys: {error}") from error
