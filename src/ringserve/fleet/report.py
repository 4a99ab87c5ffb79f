"""What `up` shows once everything runs: one table of what runs where, and what to type next."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ringserve.fleet.child import Child

_HEAD = ("name", "role", "address", "pid", "state", "model")


def show_fleet(children: Sequence[Child], hints: Sequence[str]) -> None:
    """Print the table and the hints to standard output."""
    rows = [_row(child) for child in children]
    if sys.stdout.isatty():
        _show_rich(rows)
    else:
        widths = [max(len(row[column]) for row in (_HEAD, *rows)) for column in range(len(_HEAD))]
        for row in (_HEAD, *rows):
            print("  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip())  # noqa: T201
    print("", *hints, sep="\n", flush=True)  # noqa: T201


def _row(child: Child) -> tuple[str, ...]:
    pid = str(child.pid) if child.pid is not None else "-"
    return (
        child.name,
        child.role,
        child.url,
        pid,
        child.policy.phase.value,
        child.model or "-",
    )


def _show_rich(rows: Sequence[tuple[str, ...]]) -> None:
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 (only a terminal needs it)
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(*_HEAD, box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*row, style="" if row[4] == "ready" else "yellow")
    Console().print(table)
