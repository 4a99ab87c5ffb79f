"""Writes the table of flags into README.md: `python -m ringserve.tools.flags_table [FILE]`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from ringserve.flag import Flag, Value
from ringserve.settings import COMMANDS, GROUPS, default_of, fields_for, flag_of
from ringserve.tools.marked_part import replace_part

BEGIN = "<!-- flags: written by `make docs` -->\n"
END = "<!-- end of flags -->\n"


def table() -> str:
    """One row a flag, whichever commands take it."""
    head = "| flag | of | default | meaning |\n|---|---|---|---|\n"
    return head + "".join(row for group in GROUPS for row in _rows(group))


def filled(document: str) -> str:
    """The document with the table of today between its marks.

    Raises:
        ValueError: The marks are not there, one of each and in order.
    """
    return replace_part(document, BEGIN, table(), END)


def _rows(group: str) -> Iterator[str]:
    seen: dict[str, tuple[Flag, dict[str, Value]]] = {}
    for command in COMMANDS:
        for spec in fields_for(command):
            flag = flag_of(spec)
            if flag.group == group:
                seen.setdefault(spec.name, (flag, {}))[1][command] = default_of(spec, command)
    for name, (flag, defaults) in seen.items():
        of = "all" if len(defaults) == len(COMMANDS) else ", ".join(defaults)
        yield f"| `--{name.replace('_', '-')}` | {of} | {_default(flag, defaults)} | {flag.help} |\n"


def _default(flag: Flag, defaults: dict[str, Value]) -> str:
    values = {command: _plain(value) for command, value in defaults.items()}
    unit = f" {flag.unit}" if flag.unit else ""
    if len(set(values.values())) == 1:
        return next(iter(values.values())) + unit
    return ", ".join(f"{value} ({command})" for command, value in values.items())


def _plain(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value) or "none"


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "README.md")
    target.write_text(filled(target.read_text()))
