"""Names in sentences: those that a caller made up are cut, and of many the first ones are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME_SHOWN_MAX = 100
"""Characters of a name."""
_NAMES_SHOWN_MAX = 20


def named(name: str) -> str:
    """A name that a caller made up."""
    return repr(name[:NAME_SHOWN_MAX])


def listed(names: Sequence[str]) -> str:
    """The names there are."""
    more = f" and {len(names) - _NAMES_SHOWN_MAX} more" if len(names) > _NAMES_SHOWN_MAX else ""
    return f"{[name[:NAME_SHOWN_MAX] for name in names[:_NAMES_SHOWN_MAX]]}{more}"


def compared(expected: Sequence[str], got: Sequence[str]) -> str:
    """What is expected, and how what came differs: what is missing, what nobody expects, or the order."""
    missing = [name for name in expected if name not in got]
    astray = [name for name in got if name not in expected]
    sentence = listed(expected)
    if astray:
        sentence += f", not {', '.join(map(named, astray[:_NAMES_SHOWN_MAX]))}"
    if missing:
        sentence += f"; {listed(missing)} {'is' if len(missing) == 1 else 'are'} missing"
    return sentence if missing or astray else f"{sentence}, got {listed(got)}"
