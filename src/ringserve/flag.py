"""What is known of a setting besides its name and default, kept beside its field in `settings`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Value = int | float | str
"""What a setting can hold. `max_wait_ms` is the one that may be a word ("auto") or a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """What is to be known of one setting besides its name and default.

    Attributes:
        help: One sentence, without the default and the unit, which are added where it is shown.
        group: The heading it stands under in `--help` and in the documents.
        commands: The commands that take it.
        unit: What the number counts; empty for words.
        low: The smallest allowed number.
        high: The largest allowed number.
        choices: The only allowed words; empty: any.
        auto: Whether the word "auto" is allowed beside numbers.
        path: Whether it names a file; empty: none.
        any_text: Whether it is any text, such as a model's name; empty: none.
        defaults: The default for a command where it is not the field's.
    """

    help: str
    group: str
    commands: tuple[str, ...]
    unit: str = ""
    low: float = 0
    high: float = 1e9
    choices: tuple[str, ...] = ()
    auto: bool = False
    path: bool = False
    any_text: bool = False
    defaults: Mapping[str, Value] = field(default_factory=dict)


def flag(default: Any, group: str, commands: tuple[str, ...], text: str, **more: Any) -> Any:  # noqa: ANN401
    """Make a field of `Settings`; `Any` because `dataclasses.field` is typed by its default as well."""
    return field(default=default, metadata={"flag": Flag(help=text, group=group, commands=commands, **more)})
