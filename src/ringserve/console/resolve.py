"""Where each setting comes from: flag beats environment beats TOML file beats default."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from ringserve.errors import UsageError
from ringserve.flag import Value
from ringserve.settings import Settings, default_of, fields_for, flag_of
from ringserve.values import value_of

PREFIX = "RINGSERVE_"
CONFIG_VARIABLE = "RINGSERVE_CONFIG"
_FIELDS = {spec.name: spec for spec in fields(Settings)}


@dataclass(frozen=True, slots=True)
class Resolved:
    """The effective settings of a command.

    Attributes:
        settings: What holds.
        origins: Where each field's value was found, in words a person can follow.
    """

    settings: Settings
    origins: Mapping[str, str]


def flag_name(field: str) -> str:
    """Give the flag of a field: `max_batch` is `--max-batch`."""
    return "--" + field.replace("_", "-")


def variable_name(field: str) -> str:
    """Give the environment variable of a field: `max_batch` is `RINGSERVE_MAX_BATCH`."""
    return PREFIX + field.upper()


def resolve(
    command: str, given: Mapping[str, str | None], environment: Mapping[str, str], config: str | None = None
) -> Resolved:
    """Find the effective settings of a command.

    Args:
        command: "worker", "gateway" or "up".
        given: What flags were typed, by field; None where one was not.
        environment: The process's environment.
        config: The TOML file given by flag; where None, `RINGSERVE_CONFIG` is looked at.

    Raises:
        UsageError: A value, a key or the file is wrong.
    """
    from_file, file_name = _read_file(config, environment)
    values: dict[str, Value] = {}
    origins: dict[str, str] = {}
    taken = {spec.name for spec in fields_for(command)}
    for name, spec in _FIELDS.items():
        values[name], origins[name] = default_of(spec, command), "default"
        if name not in taken:
            continue
        variable = variable_name(name)
        typed = given.get(name)
        if typed is not None:
            values[name], origins[name] = value_of(spec, typed, flag_name(name)), "flag " + flag_name(name)
        elif (text := _from_environment(name, environment)) is not None:
            values[name], origins[name] = value_of(spec, text, variable), "environment " + variable
        elif name in from_file:
            values[name], origins[name] = from_file[name], "file " + file_name
    return Resolved(Settings(**values), origins)  # type: ignore[arg-type]


def _from_environment(name: str, environment: Mapping[str, str]) -> str | None:
    """Give a variable's text; an empty one counts as not set.

    Kubernetes injects `RINGSERVE_PORT=tcp://10.0.0.1:80` for a Service of our name (and the like for
    `ringserve-grpc`); that is no port number and nobody's wish.
    """
    text = environment.get(variable_name(name), "")
    if flag_of(_FIELDS[name]).unit == "port" and text.startswith("tcp://"):
        return None
    return text or None


def _read_file(config: str | None, environment: Mapping[str, str]) -> tuple[dict[str, Value], str]:
    """Read and check a TOML file: every key, whichever command it is for."""
    where = "--config" if config is not None else CONFIG_VARIABLE
    path = config if config is not None else environment.get(CONFIG_VARIABLE, "")
    if config is None and not path:
        return {}, ""
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{where}: cannot read {path!r}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:  # beside TOML's own: bad UTF-8, a number of 5,000 digits
        raise UsageError(f"{where}: {path} is not TOML: {error}") from error
    found: dict[str, Value] = {}
    for key, raw in table.items():
        name = key.replace("-", "_")
        if name not in _FIELDS:
            raise UsageError(f"{path}: unknown key {key!r}{_nearest(name)}")
        if name in found:
            raise UsageError(f"{path}: {key!r} is given twice, with dashes and with underscores; keep one")
        found[name] = value_of(_FIELDS[name], raw, f"{path}: {key}")
    return found, path


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name.lower(), _FIELDS, n=1)
    return f"; did you mean {near[0].replace('_', '-')!r}?" if near else "; `ringserve config` shows all keys"
