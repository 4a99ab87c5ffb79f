"""The files of this project, read once for all tidy tests."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "ringserve"
FOLDERS = ("src", "tests", "training", "benchmarks", "docs", "locks", ".ci")
TEXT = {".py", ".md", ".toml", ".txt", ".svg", ".json", ".yaml", ".yml", ".lua", ".sh", ".c", ""}


def is_ours(path: Path) -> bool:
    """Whether a person wrote it: no cache, no build product, no data that a tool left here."""
    made = any(part == "__pycache__" or part.endswith(".egg-info") for part in path.parts)
    return not made and not is_data(path)


def is_data(path: Path) -> bool:
    """Whether a file is no text, told as git does: by a zero byte near its start."""
    with path.open("rb") as file:
        return b"\0" in file.read(8000)


@cache
def text_files() -> tuple[Path, ...]:
    """Return every text file of the project, those at its top included."""
    top = [path for path in ROOT.iterdir() if path.is_file()]
    below = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()]
    return tuple(sorted(path for path in top + below if path.suffix in TEXT and is_ours(path)))


@cache
def python_files() -> tuple[Path, ...]:
    """Return every Python file of the project."""
    return tuple(path for path in text_files() if path.suffix == ".py")


def package_files(*rooms: str) -> list[Path]:
    """Return the package's Python files, or those of some of its rooms."""
    folders = [PACKAGE / room for room in rooms] or [PACKAGE]
    return [path for path in python_files() if any(path.is_relative_to(folder) for folder in folders)]


@cache
def parsed(path: Path) -> ast.Module:
    """Return the file's syntax tree."""
    return ast.parse(path.read_text(), str(path))


def shown(path: Path) -> str:
    """Return the path as a person would type it."""
    return str(path.relative_to(ROOT))
