"""The ringserve processes of this machine, as Linux shows them in /proc."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_ROLES = ("worker", "gateway", "up")
_OPTIONS_WITH_VALUE = ("-X", "-W")


@dataclass(frozen=True, slots=True)
class Process:
    """A running `ringserve worker`, `gateway` or `up`, with the arguments after that word."""

    pid: int
    parent: int
    role: str
    arguments: Sequence[str]
    folder: str = ""

    @property
    def model(self) -> str | None:
        """The model file among the arguments, made absolute where the process's folder is known."""
        for argument in self.arguments:
            if argument.endswith(".onnx"):
                return str(Path(self.folder, argument)) if self.folder else argument
        return None

    def names_port(self, port: int) -> bool:
        """Whether the port stands among the arguments, alone or behind a flag's `=`."""
        return any(argument.rpartition("=")[2] == str(port) for argument in self.arguments)


def ringserve_processes(proc: Path = Path("/proc")) -> list[Process] | None:
    """List the ringserve processes that are visible here; None on a system without /proc."""
    if not sys.platform.startswith("linux") or not proc.is_dir():
        return None
    folders = sorted(
        (folder for folder in proc.iterdir() if folder.name.isdigit()), key=lambda one: int(one.name)
    )
    return [process for process in map(_read, folders) if process is not None]


def _read(folder: Path) -> Process | None:
    try:
        words = (folder / "cmdline").read_bytes().decode("utf-8", "replace").rstrip("\0").split("\0")
    except OSError:
        return None  # it ended just now, or belongs to someone who hides it
    rest = _after_ringserve(words)
    if not rest or rest[0] not in _ROLES:
        return None
    return Process(int(folder.name), _parent(folder), rest[0], tuple(rest[1:]), _working_folder(folder))


def _parent(folder: Path) -> int:
    try:
        # "pid (name) state parent ...": the name may hold anything, the last ")" ends it.
        return int((folder / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0  # it ended just now


def _working_folder(folder: Path) -> str:
    try:
        return str((folder / "cwd").readlink())
    except OSError:
        return ""  # another user's: its arguments are visible, its folder is not


def _after_ringserve(words: Sequence[str]) -> Sequence[str]:
    """Give what follows `ringserve` in a command line that runs it; nothing for any other.

    A shell or a `timeout` around it carries the same words and must not be taken for it.
    """
    program = Path(words[0]).name
    if program == "ringserve":
        return words[1:]
    if not program.startswith("python"):
        return ()
    rest = list(words[1:])
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option == "-m":
            return rest[1:] if rest[:1] == ["ringserve"] else ()
        if option in _OPTIONS_WITH_VALUE and rest:
            rest.pop(0)
    return rest[1:] if rest and Path(rest[0]).name == "ringserve" else ()
