"""What the owner of a model wants for it: the table of its `config.toml`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

from ringserve.errors import UsageError
from ringserve.flag import Value
from ringserve.settings import Settings
from ringserve.values import shown, value_of

LATEST, ALL = "latest", "all"
LABELS_MAX = 1 << 16
_LABEL_CHARACTERS_MAX = 1000
_VERSION_MAX = 10**18
_SETTINGS = (
    "max_batch", "batch_timeout_ms", "batch_policy", "batching", "free_batch", "provider", "max_queue",
    "max_wait_ms", "cache_capacity", "cache_mb",
)  # fmt: skip
"""The flags of a worker that a model may set for itself."""
_OWN = ("cache", "versions", "labels")
KEYS = tuple(name.replace("_", "-") for name in (*_SETTINGS, *_OWN))
"""All keys of the table, as documents write them."""
_FIELDS = {spec.name: spec for spec in fields(Settings)}


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """The options of one model.

    Attributes:
        settings: What differs from the worker's own settings, by field.
        cache: Whether answers are remembered; None where the model decides.
        versions: `latest`, `all`, or those that are served.
        labels: The names of the classes that its outputs count, in order.
        labels_file: A file beside the options that holds them, a line each; empty where there is none.
    """

    settings: Mapping[str, Value] = field(default_factory=dict)
    cache: bool | None = None
    versions: str | tuple[int, ...] = LATEST
    labels: tuple[str, ...] = ()
    labels_file: str = ""

    def applied_to(self, settings: Settings) -> Settings:
        """The settings that hold for this model."""
        return replace(settings, **self.settings)  # type: ignore[arg-type]


def options_of(table: Mapping[str, object], where: str) -> ModelOptions:
    """Read a table of options.

    Args:
        table: As TOML gives it.
        where: The file, as sentences shall name it.

    Raises:
        UsageError: A key is unknown or given twice, or a value is not what it takes.
    """
    values: dict[str, Value] = {}
    own: dict[str, object] = {}
    for key, raw in table.items():
        name = key.replace("-", "_")
        if name in values or name in own:
            raise UsageError(f"{where}: {key!r} is given twice, with dashes and with underscores; keep one")
        if name in _SETTINGS:
            values[name] = value_of(_FIELDS[name], raw, f"{where}: {key}")
        elif name in _OWN:
            own[name] = raw
        else:
            raise UsageError(f"{where}: unknown key {key!r}; {_known(key)}")
    labels = own.get("labels", [])
    return ModelOptions(
        settings=values,
        cache=_cache(own.get("cache"), where),
        versions=_versions(own.get("versions", LATEST), where),
        labels=() if isinstance(labels, str) else labels_of(labels, f"{where}: labels"),
        labels_file=_file_name(labels, where) if isinstance(labels, str) else "",
    )


def labels_of(lines: object, where: str) -> tuple[str, ...]:
    """Check the names of classes.

    Raises:
        UsageError: They are no list of words, or too many or too long.
    """
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise UsageError(f"{where}: expected a list of words or the name of a file, got {shown(lines)}")
    if len(lines) > LABELS_MAX:
        raise UsageError(f"{where}: there may be {LABELS_MAX} labels at most, got {len(lines)}")
    long = next((line for line in lines if len(line) > _LABEL_CHARACTERS_MAX), None)
    if long is not None:
        raise UsageError(f"{where}: a label may have {_LABEL_CHARACTERS_MAX} characters, got {len(long)}")
    return tuple(lines)


def _cache(raw: object, where: str) -> bool | None:
    if raw is not None and not isinstance(raw, bool):
        raise UsageError(f"{where}: cache: expected true or false, got {shown(raw)}")
    return raw


def _versions(raw: object, where: str) -> str | tuple[int, ...]:
    if raw in (LATEST, ALL):
        return str(raw)
    numbers = raw if isinstance(raw, list) else [raw]
    if not numbers or not all(
        isinstance(number, int) and not isinstance(number, bool) and 1 <= number <= _VERSION_MAX
        for number in numbers
    ):
        raise UsageError(
            f"{where}: versions: expected {LATEST!r}, {ALL!r} or a list such as [1, 3], got {shown(raw)}"
        )
    return tuple(sorted(set(numbers)))


def _file_name(name: str, where: str) -> str:
    """A name that leads nowhere else: no folder, nothing hidden."""
    if not name or "/" in name or "\\" in name or "\0" in name or name.startswith("."):
        raise UsageError(f"{where}: labels: expected the name of a file beside it, got {shown(name)}")
    return name


def _known(key: str) -> str:
    near = difflib.get_close_matches(key.lower().replace("_", "-"), KEYS, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(KEYS)}"
