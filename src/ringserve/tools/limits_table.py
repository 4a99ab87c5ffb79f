"""Writes the table of limits into docs/reliability.md: `python -m ringserve.tools.limits_table [FILE]`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from ringserve.limits import FLAG_LIMITS, LIMITS
from ringserve.settings import Settings, flag_of
from ringserve.tools.marked_part import replace_part

BEGIN = "<!-- limits: written by `make docs` -->\n"
END = "<!-- end of limits -->\n"


def table() -> str:
    """One row a limit: those with a flag in the order of the settings, then the others."""
    head = "| limit | default | when it is reached |\n|---|---|---|\n"
    return head + "".join(_rows())


def filled(document: str) -> str:
    """The document with the table of today between its marks.

    Raises:
        ValueError: The marks are not there, one of each and in order.
    """
    return replace_part(document, BEGIN, table(), END)


def _rows() -> Iterator[str]:
    for spec in fields(Settings):
        reached = FLAG_LIMITS.get(spec.name)
        if reached is not None:
            flag = flag_of(spec)
            unit = f" {flag.unit}" if flag.unit and spec.default != "auto" else ""
            yield f"| `--{spec.name.replace('_', '-')}` | {_plain(spec.default)}{unit} | {reached} |\n"
    for limit in LIMITS:
        yield f"| {limit.name} | {_plain(limit.value)} {limit.unit} | {limit.reached} |\n"


def _plain(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/reliability.md")
    target.write_text(filled(target.read_text()))
