"""Writes docs/configuration.md from the settings: `python -m ringserve.tools.settings_doc [FILE]`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from ringserve.flag import Value
from ringserve.limits import LIMITS
from ringserve.settings import COMMANDS, GROUPS, default_of, fields_for, flag_of

HEAD = """# Configuration

Generated from the code by `make docs`; do not edit by hand.

Each setting is a flag, an environment variable and a key of the TOML file given with `--config` (or
`RINGSERVE_CONFIG`). A flag beats the environment, which beats the file, which beats the default.
`ringserve config` prints the effective settings and where each came from.
"""


def document() -> str:
    """The whole document."""
    parts = [HEAD]
    for command in COMMANDS:
        parts.append(f"\n## `ringserve {command}`\n")
        parts.extend(_table(command))
    parts.append("\n## Limits that are no flags\n")
    parts.append("\n| limit | value | when it is reached |\n|---|---|---|\n")
    parts.extend(
        f"| {limit.name} | {_plain(limit.value)} {limit.unit} | {limit.reached} |\n" for limit in LIMITS
    )
    return "".join(parts)


def _table(command: str) -> Iterator[str]:
    for group in GROUPS:
        rows = [spec for spec in fields_for(command) if flag_of(spec).group == group]
        if not rows:
            continue
        yield f"\n### {group}\n\n| flag | variable | default | meaning |\n|---|---|---|---|\n"
        for spec in rows:
            flag = flag_of(spec)
            default = _plain(default_of(spec, command))
            unit = "" if flag.unit in {"", "port"} or default == "auto" else f" {flag.unit}"
            variable = f"RINGSERVE_{spec.name.upper()}"
            name = "--" + spec.name.replace("_", "-")
            yield f"| `{name}` | `{variable}` | {default}{unit} | {flag.help} |\n"


def _plain(value: Value) -> str:
    """Write 20 and not 20.0, 67108864 and not 6.71089e+07; no file is "none"."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value) or "none"


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/configuration.md")
    target.parent.mkdir(exist_ok=True)
    target.write_text(document())
