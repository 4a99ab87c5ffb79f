"""`ringserve config`: the effective settings and where each came from."""

from __future__ import annotations

import json
import sys

from ringserve.console.resolve import Resolved
from ringserve.settings import GROUPS, fields_for, flag_of
from ringserve.values import plain


def show_settings(command: str, resolved: Resolved, *, as_json: bool) -> None:
    """Print the settings a command takes, with units and origins, to standard output."""
    rows = [
        (flag_of(spec).group, spec.name, getattr(resolved.settings, spec.name), flag_of(spec).unit)
        for spec in fields_for(command)
    ]
    if as_json:
        found = {name: {"value": value, "origin": resolved.origins[name]} for _, name, value, _ in rows}
        print(json.dumps(found, indent=2))  # noqa: T201
        return
    lines = [
        (
            group,
            name.replace("_", "-"),
            f"{plain(value)} {'' if unit == 'port' or value == 'auto' else unit}".strip(),
            name,
        )
        for group, name, value, unit in rows
    ]
    if sys.stdout.isatty():
        _print_table(lines, resolved)
        return
    for _, key, shown, name in lines:
        print(f"{key:<20} {shown:<20} {resolved.origins[name]}")  # noqa: T201


def _print_table(lines: list[tuple[str, str, str, str]], resolved: Resolved) -> None:
    from rich.console import Console  # noqa: PLC0415 (only a terminal needs it)
    from rich.table import Table  # noqa: PLC0415

    table = Table("setting", "value", "from", box=None, pad_edge=False, header_style="bold")
    for group in GROUPS:
        inside = [line for line in lines if line[0] == group]
        if inside:
            table.add_row(f"[bold]{group}[/bold]", end_section=False)
        for _, key, shown, name in inside:
            origin = resolved.origins[name]
            table.add_row("  " + key, shown, origin, style="dim" if origin == "default" else "")
    Console().print(table)
