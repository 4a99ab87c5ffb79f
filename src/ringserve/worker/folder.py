"""Looking into a folder of models: the names of its files, and the options that its owner wrote.

Paths come from this listing alone. What callers name is looked up by its name, never made a path of.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ringserve.core.repository.layout import DEPTH_MAX, FoundModel, FoundVersion, Stamp, find_models
from ringserve.core.repository.options import ModelOptions, labels_of, options_of
from ringserve.core.repository.plan import Candidate
from ringserve.errors import UsageError
from ringserve.limits import REPOSITORY_FILES_MAX

_OPTIONS_BYTES_MAX = 1 << 19
"""Of a file of options or of labels."""
_NOT_THERE: Stamp = (-1, -1)


@dataclass(slots=True)
class _Read:
    """The options last read of a model, and of which files."""

    stamps: tuple[Stamp | None, Stamp | None]
    options: ModelOptions
    problem: str


class Folder:
    """A folder of models; or one model's file, which is then all that it holds.

    Attributes:
        path: As given.
        is_folder: Whether it is one.
    """

    def __init__(self, path: Path) -> None:
        """Look whether it is a folder; what cannot be read shows at `look`."""
        self.path = path
        self.is_folder = path.is_dir()
        self._read: dict[str, _Read] = {}

    def look(self) -> dict[str, Candidate]:
        """The models that are there now, by name. Blocks: call it outside an event loop.

        Raises:
            UsageError: The folder cannot be read, or holds too many files.
        """
        if not self.is_folder:
            return self._lone_file()
        try:
            listing = self._listing()
        except OSError as error:
            raise UsageError(f"{self.path} cannot be read: {error.strerror or error}") from error
        models = find_models(listing)
        self._read = {name: read for name, read in self._read.items() if name in models}
        return {name: self._candidate(model, listing) for name, model in models.items()}

    def file_of(self, version: FoundVersion) -> Path:
        """The path of a version's file."""
        return self.path / version.path if self.is_folder else self.path

    def _lone_file(self) -> dict[str, Candidate]:
        try:
            facts = self.path.stat()
            stamp = facts.st_size, facts.st_mtime_ns
        except OSError:
            stamp = _NOT_THERE  # whoever loads it says what is wrong with it
        name = self.path.stem
        version = FoundVersion(1, self.path.name, ((self.path.name, stamp),))
        return {name: Candidate(FoundModel(name, (version,), ""), ModelOptions())}

    def _listing(self) -> dict[str, Stamp]:
        listing: dict[str, Stamp] = {}
        for path, stamp in _walk(self.path, "", DEPTH_MAX):
            listing[path] = stamp
            if len(listing) > REPOSITORY_FILES_MAX:
                raise UsageError(
                    f"{self.path} holds more than {REPOSITORY_FILES_MAX} files; give one of models alone"
                )
        return listing

    def _candidate(self, model: FoundModel, listing: dict[str, Stamp]) -> Candidate:
        stamp = listing.get(model.options)
        known = self._read.get(model.name)
        beside = "" if known is None else self._beside(model, known.options.labels_file)
        if known is None or known.stamps != (stamp, listing.get(beside)):
            known = self._read[model.name] = self._read_options(model, listing)
        return Candidate(model, known.options, model.problem or known.problem)

    def _read_options(self, model: FoundModel, listing: dict[str, Stamp]) -> _Read:
        stamp = listing.get(model.options)
        if stamp is None:
            return _Read((None, None), ModelOptions(), "")
        options, beside = ModelOptions(), ""
        where = self.path / model.options
        try:
            options = options_of(tomllib.loads(_text_of(where, stamp)), str(where))
            beside = self._beside(model, options.labels_file)
            if beside:
                labels = self._labels(beside, listing.get(beside), str(where))
                options = replace(options, labels=labels)
        except UsageError as error:
            return _Read((stamp, listing.get(beside)), options, str(error))
        except (ValueError, RecursionError) as error:
            return _Read((stamp, None), options, f"{where} is not TOML: {error}")
        return _Read((stamp, listing.get(beside)), options, "")

    def _labels(self, name: str, stamp: Stamp | None, where: str) -> tuple[str, ...]:
        if stamp is None:
            raise UsageError(f"{where}: labels: there is no file {name} in {self.path}")
        try:
            lines = _text_of(self.path / name, stamp).splitlines()
        except UnicodeDecodeError as error:
            raise UsageError(f"{self.path / name} is not UTF-8: {error}") from error
        return labels_of(lines, str(self.path / name))

    @staticmethod
    def _beside(model: FoundModel, name: str) -> str:
        """The path of a file beside a model's options; empty where there is no name."""
        folder = model.options.rpartition("/")[0]
        return f"{folder}/{name}" if folder and name else name


def _walk(folder: Path, prefix: str, depth: int) -> Iterator[tuple[str, Stamp]]:
    """The files below a folder, with their stamps; links are followed: mounted folders are made of them."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            try:
                if entry.is_dir():
                    if depth > 1:
                        yield from _walk(Path(entry.path), f"{prefix}{entry.name}/", depth - 1)
                elif entry.is_file():
                    facts = entry.stat()
                    yield prefix + entry.name, (facts.st_size, facts.st_mtime_ns)
            except FileNotFoundError:
                continue  # it was taken away meanwhile


def _text_of(path: Path, stamp: Stamp) -> str:
    if stamp[0] > _OPTIONS_BYTES_MAX:
        raise UsageError(f"{path} has {stamp[0]} bytes; {_OPTIONS_BYTES_MAX} are taken at most")
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
