import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.tidy.tree import PACKAGE, ROOT, package_files, parsed, shown

# core decides from its arguments alone; what these give must be handed in.
IMPURE = {
    "asyncio", "concurrent", "datetime", "io", "logging", "multiprocessing", "os", "pathlib", "queue",
    "random", "secrets", "select", "selectors", "signal", "socket", "ssl", "subprocess", "tempfile",
    "threading", "time",
}  # fmt: skip
CORE_MAY_IMPORT = ({"numpy", "blake3", "ringserve"} | sys.stdlib_module_names) - IMPURE


def imported(path: Path) -> Iterator[str]:
    """Yield the top name of each module that the file imports, anywhere in it."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def mirrors(module: Path) -> list[Path]:
    """Return where a module's test may stand: beside its mirror image, or one file for a small package."""
    inside = module.relative_to(PACKAGE)
    own = ROOT / "tests" / inside.parent / f"test_{inside.stem}.py"
    if len(inside.parts) <= 2:
        return [own]
    return [own, ROOT / "tests" / inside.parent.parent / f"test_{inside.parent.name}.py"]


def test_core_imports_only_the_pure_standard_library_numpy_and_blake3() -> None:
    wrong = [
        f"{shown(path)} imports {name}"
        for path in package_files("core")
        for name in imported(path)
        if name not in CORE_MAY_IMPORT
    ]
    assert wrong == []


def test_each_pure_module_has_a_test_file_that_mirrors_it() -> None:
    modules = [path for path in package_files("core", "wire") if path.name != "__init__.py"]
    assert [shown(path) for path in modules if not any(test.exists() for test in mirrors(path))] == []
