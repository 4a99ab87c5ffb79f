"""A model's file: is it there, what identifies it, and what its graph says."""

from __future__ import annotations

import mmap
from dataclasses import dataclass, field
from pathlib import Path

from blake3 import blake3

from ringserve.engine.categories import Categories, find_categories
from ringserve.engine.onnx_graph import Scope, read_scopes
from ringserve.engine.randomness import draws_random_numbers, unknown_domains
from ringserve.engine.zipmap import find_zipmaps, replace_zipmaps
from ringserve.errors import UsageError

_WORDS_MAX = 64
ORT_MARK = b"ORTM"
"""What onnxruntime's own format has at its fifth byte; it is no Protocol Buffers and is not looked into."""
_COPY_BYTES_MAX = (1 << 31) - (1 << 16)
"""The most that Protocol Buffers take, less some room."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """What is known of a model before ONNX Runtime opens it.

    Attributes:
        path: As given.
        name: What the model is called: the file's stem unless a repository says otherwise.
        digest: BLAKE3 in hex, of the file; where weights lie in other files, of all of them together.
        random: Whether a node draws random numbers.
        unknown: Why nobody can say whether something else in it does; empty where all of it is known.
        domains: Of operators that are not known: who uses one brings the library that has them.
        files: The file, and those that hold its weights.
        stamp: Size and time of change of each of them, to see that nothing changed while it was opened.
        served: What onnxruntime is to open: the file, or a copy in which tensors stand for maps (`zipmap`).
        words: Some of the strings that stand in the graph: what its inputs may want.
        categories: The values that columns of its inputs may have, as far as the graph tells.
    """

    path: Path
    name: str
    digest: str
    random: bool
    unknown: str
    domains: tuple[str, ...]
    files: tuple[Path, ...]
    stamp: tuple[tuple[int, int], ...]
    served: Path | bytes
    words: tuple[str, ...] = ()
    categories: Categories = field(default_factory=dict)


def read_model_file(path: Path, name: str = "") -> ModelFile:
    """Check the file, digest it and look into its graph.

    Args:
        path: Of the file.
        name: What the model is called; empty for the file's stem.

    Raises:
        UsageError: There is no such file, it cannot be read, or it is no ONNX model.
    """
    try:
        _check(path)
        with path.open("rb") as opened:
            view = memoryview(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))
        is_ort = bytes(view[4:8]) == ORT_MARK
        scopes = [] if is_ort else _read_scopes(path, view)
        domains = unknown_domains(scopes)
        files = (path, *(path.parent / name for name in _locations(scopes)))
        for file in files[1:]:
            if not file.is_file():
                raise UsageError(f"{path} needs the weights file {file.name}; put it beside the model")
        stamp = _stamp(files)
        return ModelFile(
            path=path,
            name=name or path.stem,
            digest=_digest(files),
            random=draws_random_numbers(scopes),
            unknown=_unknown(is_ort, domains),
            domains=tuple(domains),
            files=files,
            stamp=stamp,
            served=_served(path, view, scopes, files),
            words=_words(scopes),
            categories=find_categories(scopes),
        )
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error


def check_unchanged(file: ModelFile) -> None:
    """Make sure that what was opened since is what was digested.

    Raises:
        UsageError: The file changed meanwhile.
    """
    if file.stamp != _stamp(file.files):
        raise UsageError(f"{file.path} changed while it was being loaded; start again when it is complete")


def _check(path: Path) -> None:
    if path.is_dir():
        raise UsageError(f"{path} is a folder; give the path of an .onnx file")
    if not path.exists():
        raise UsageError(f"there is no model file {path}; give the path of an .onnx file")
    if not path.is_file():
        raise UsageError(f"{path} is no regular file; give the path of an .onnx file")
    if path.stat().st_size == 0:
        raise UsageError(f"{path} is empty; copy or export the model again")


def _read_scopes(path: Path, view: memoryview) -> list[Scope]:
    try:
        return list(read_scopes(view))
    except ValueError as error:
        raise UsageError(
            f"{path} is no ONNX model, or a damaged one ({error}); copy or export it again"
        ) from error


def _unknown(is_ort: bool, domains: list[str]) -> str:
    if is_ort:
        return "its graph is in onnxruntime's own format, which is not looked into"
    if domains:
        return f"operators of {', '.join(map(repr, domains))} may draw random numbers"
    return ""


def _served(path: Path, view: memoryview, scopes: list[Scope], files: tuple[Path, ...]) -> Path | bytes:
    """Weights in other files are found by the model's path only, so such a model is opened as it is."""
    zipmaps = find_zipmaps(scopes) if len(files) == 1 and len(view) <= _COPY_BYTES_MAX else {}
    return replace_zipmaps(view, zipmaps) if zipmaps else path


def _locations(scopes: list[Scope]) -> list[str]:
    """The files that hold weights, each once, in the order in which the model names them."""
    names: dict[str, None] = {}
    for scope in scopes:
        tensors = [*scope.initializers, *(tensor for node in scope.nodes for tensor in node.tensors)]
        names.update((tensor.location, None) for tensor in tensors if tensor.location)
    return list(names)


def _words(scopes: list[Scope]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for scope in scopes:
        tensors = [*scope.initializers, *(tensor for node in scope.nodes for tensor in node.tensors)]
        for texts in [*(node.texts for node in scope.nodes), *(tensor.texts for tensor in tensors)]:
            found.update(dict.fromkeys(texts))
    return tuple(found)[:_WORDS_MAX]


def _digest(files: tuple[Path, ...]) -> str:
    digests = [blake3().update_mmap(file).digest() for file in files]
    return digests[0].hex() if len(digests) == 1 else blake3(b"".join(digests)).hexdigest()


def _stamp(files: tuple[Path, ...]) -> tuple[tuple[int, int], ...]:
    facts = [file.stat() for file in files]
    return tuple((fact.st_size, fact.st_mtime_ns) for fact in facts)
