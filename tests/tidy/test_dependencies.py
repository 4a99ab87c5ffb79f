import re
import sys
import tomllib

from tests.tidy.test_layout import imported
from tests.tidy.tree import ROOT, package_files, shown

REQUIREMENT = re.compile(r"[A-Za-z0-9_.-]+")
IMPORTED_AS = {"grpcio": "grpc", "protobuf": "google"}


def locked(name: str) -> dict[str, str]:
    """Return a lock as pinned requirement to hashes; one that differs by Python version counts once."""
    text = (ROOT / "locks" / name).read_text().replace("\\\n", " ")
    entries = (line.split(" --hash", 1) for line in text.splitlines())
    return {requirement.partition(" ;")[0].strip(): hashes for requirement, hashes in entries}


def test_the_package_imports_only_what_it_declares() -> None:
    """An import of what the development environment happens to hold would fail in an empty one."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = [REQUIREMENT.match(line)[0] for line in declared]  # type: ignore[index]
    packages = {IMPORTED_AS.get(name, name.replace("-", "_")) for name in names}
    known = packages | sys.stdlib_module_names | {"ringserve"}
    assert [
        f"{shown(path)} imports {name}"
        for path in package_files()
        for name in imported(path)
        if name not in known
    ] == []


def test_every_locked_requirement_is_pinned_with_hashes() -> None:
    for lock in ("run.txt", "dev.txt"):
        for requirement, hashes in locked(lock).items():
            assert "==" in requirement, requirement
            assert "=sha256:" in hashes, requirement


def test_what_runs_is_tested_in_the_same_versions() -> None:
    run, dev = locked("run.txt"), locked("dev.txt")
    assert {requirement: dev.get(requirement) for requirement in run} == run
