"""Turning what a person wrote into a setting's value, or into a sentence that says what was expected."""

from __future__ import annotations

import math
from dataclasses import Field
from typing import Any

from ringserve.errors import UsageError
from ringserve.flag import Flag, Value
from ringserve.settings import flag_of

_BITS_SHOWN = 256
_KINDS = {"int": int, "float": float, "str": str}


def value_of(spec: Field[Any], raw: object, where: str) -> Value:
    """Check a value and give it its type.

    Args:
        spec: The field of Settings.
        raw: Text from a flag or a variable, or a TOML value.
        where: The flag, variable or key, as the sentence shall name it.

    Raises:
        UsageError: It is not what the setting takes.
    """
    value = _parsed(spec, raw)
    if value is None:
        raise UsageError(f"{where}: expected {expected(spec)}, got {shown(raw)}")
    return value


def kind_of(spec: Field[Any]) -> type[int | float | str]:
    """Give the type of a setting's value; for one that takes "auto" or a number, float."""
    return float if flag_of(spec).auto else _KINDS[str(spec.type)]


def expected(spec: Field[Any]) -> str:
    """Say what a setting takes, such as "a whole number from 1 to 256"."""
    flag, kind = flag_of(spec), kind_of(spec)
    if flag.choices:
        return f"{', '.join(flag.choices[:-1])} or {flag.choices[-1]}"
    if kind is str:
        return "a file's path" if flag.path else "words that can be printed" if flag.any_text else "a word"
    number = "a whole number" if kind is int else "a number"
    unit = f" ({flag.unit})" if flag.unit not in {"", "port"} else ""
    return f"{'auto or ' if flag.auto else ''}{number} from {plain(flag.low)} to {plain(flag.high)}{unit}"


def plain(value: Value) -> str:
    """Write a value the way a person types it: 20 and not 20.0, 30000 and not 3e+04; no text is "none"."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) or "none"


def _parsed(spec: Field[Any], raw: object) -> Value | None:
    flag, kind = flag_of(spec), kind_of(spec)
    if flag.auto and isinstance(raw, str) and raw.strip().lower() == "auto":
        return "auto"
    if kind is str:
        return _word(flag, raw)
    number = _number(kind is int, raw)
    if number is None or not flag.low <= number <= flag.high:
        return None
    return number


def _word(flag: Flag, raw: object) -> str | None:
    if not isinstance(raw, str):
        return None
    word = raw.strip()
    if flag.choices:
        word = word.lower()
        return word if word in flag.choices else None
    if flag.path or flag.any_text:
        return None if not word.isprintable() else "" if word == "none" else word
    return word if word and word.isprintable() and " " not in word else None


def _number(whole: bool, raw: object) -> int | float | None:
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        return None
    try:
        number = int(raw) if whole and isinstance(raw, str) else float(raw)
    except (ValueError, OverflowError):
        return None
    if isinstance(number, float) and (not math.isfinite(number) or (whole and not number.is_integer())):
        return None
    return int(number) if whole else number


def shown(raw: object) -> str:
    """Write a value that is wrong into a sentence about it: a long one is cut."""
    if isinstance(raw, int) and raw.bit_length() > _BITS_SHOWN:
        return "a huge number"  # Python refuses to write very long ones
    text = repr(raw) if isinstance(raw, str) else str(raw)
    return text if len(text) <= 60 else text[:57] + "..."  # noqa: PLR2004
