"""What a folder of models holds, from the names of its files.

Three layouts, side by side as one likes::

    NAME.onnx                  version 1; options in NAME.toml
    NAME/model.onnx            version 1; options in NAME/config.toml
    NAME/VERSION/model.onnx    VERSION is 1, 2, …; options in NAME/config.toml

`.ort` may stand for `.onnx`. What begins with a dot is hidden; every other file is somebody else's business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

Stamp = tuple[int, int]
"""A file's size in bytes and the time of its last change in ns."""

DEPTH_MAX = 3
"""Names in the longest path that matters."""

_SUFFIXES = (".onnx", ".ort")
_MODEL_FILES = ("model.onnx", "model.ort")
_CONFIG = "config.toml"
_OPTIONS = ".toml"
_VERSION_DIGITS_MAX = 18


@dataclass(frozen=True, slots=True)
class FoundVersion:
    """One version of a model.

    Attributes:
        version: From 1.
        path: Of its file, relative to the folder.
        files: The file and what lies beside it, with their stamps: where one changes, it is another model.
    """

    version: int
    path: str
    files: tuple[tuple[str, Stamp], ...]


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model as it stands in the folder.

    Attributes:
        name: The name of its file without the suffix, or of its folder.
        versions: In ascending order.
        options: The path of the file with its options, where such a file would stand.
        problem: Why nobody can say which file is meant; empty where it is clear.
    """

    name: str
    versions: tuple[FoundVersion, ...]
    options: str
    problem: str = ""


def find_models(listing: Mapping[str, Stamp]) -> dict[str, FoundModel]:
    """Find the models of a folder.

    Args:
        listing: Its files by their path relative to it, with slashes; deeper ones than `DEPTH_MAX` may be
            left out.

    Returns:
        The models by name, sorted by it.
    """
    places: dict[str, list[tuple[int, str]]] = {}
    beside: dict[str, list[str]] = {}
    for path in sorted(listing):
        parts = path.split("/")
        if any(part.startswith(".") for part in parts):
            continue
        beside.setdefault(path.rpartition("/")[0], []).append(path)
        place = _place(parts)
        if place is not None:
            places.setdefault(place[0], []).append((place[1], path))
    return {name: _model(name, sorted(places[name]), beside, listing) for name in sorted(places)}


def _place(parts: list[str]) -> tuple[str, int] | None:
    """The name and version of the model whose file this is; None where it is none."""
    if len(parts) == 1:
        stem = next((parts[0].removesuffix(end) for end in _SUFFIXES if parts[0].endswith(end)), "")
        return (stem, 1) if stem else None
    if len(parts) > DEPTH_MAX or parts[-1] not in _MODEL_FILES:
        return None
    if len(parts) == DEPTH_MAX:
        version = parts[1]
        plain = version.isascii() and version.isdigit() and len(version) <= _VERSION_DIGITS_MAX
        return (parts[0], int(version)) if plain and not version.startswith("0") else None
    return parts[0], 1


def _model(
    name: str, found: list[tuple[int, str]], beside: dict[str, list[str]], listing: Mapping[str, Stamp]
) -> FoundModel:
    doubled = _doubled(found)
    in_folder = any("/" in path for _, path in found)
    options = f"{name}/{_CONFIG}" if in_folder else name + _OPTIONS
    if doubled is not None:
        problem = f"model {name!r} stands there twice, as {doubled[0]} and as {doubled[1]}; keep one of them"
        return FoundModel(name, (), options, problem)
    versions = tuple(
        FoundVersion(version, path, tuple((file, listing[file]) for file in _files(path, name, beside)))
        for version, path in found
    )
    return FoundModel(name, versions, options)


def _doubled(found: list[tuple[int, str]]) -> tuple[str, str] | None:
    """Two files that cannot both be meant: of one version, or where one leaves no place for versions."""
    for (version, path), (other, another) in pairwise(found):
        if version == other or min(path.count("/"), another.count("/")) < DEPTH_MAX - 1:
            return path, another
    return None


def _files(path: str, name: str, beside: dict[str, list[str]]) -> Iterator[str]:
    """The model's file and those that may belong to it, such as its weights; its options stand apart."""
    folder = path.rpartition("/")[0]
    for file in beside[folder]:
        mine = folder or file == path or file.startswith(name + ".")
        foreign = not folder and file != path and file.endswith((*_SUFFIXES, _OPTIONS))
        if mine and not foreign and file != f"{name}/{_CONFIG}":
            yield file
