"""What holds for every test: no settings from the shell, no limit on an example, no child left behind."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# The time of one example says nothing on a shared machine; pytest-timeout bounds the whole test.
settings.register_profile("ringserve", deadline=None, print_blob=True)
settings.load_profile("ringserve")


def children() -> list[str]:
    """Return the command lines of this process's children, the dead ones that nobody waited for included."""
    found = []
    for listing in Path("/proc/self/task").glob("*/children"):
        for pid in listing.read_text().split():
            command = Path("/proc", pid, "cmdline").read_bytes().replace(b"\0", b" ").decode()
            found.append(f"{pid}: {command or 'dead, not waited for'}")
    return found


@pytest.fixture(autouse=True, scope="session")
def no_settings_from_the_shell() -> None:
    """Clear RINGSERVE_*: what a developer has set must not change what is tested."""
    for name in [name for name in os.environ if name.startswith("RINGSERVE_")]:
        del os.environ[name]


@pytest.fixture(autouse=True, scope="session")
def no_child_outlives_the_tests() -> Iterator[None]:
    """Fail the run if a test left a process behind."""
    before = set(children())
    yield
    assert [child for child in children() if child not in before and "resource_tracker" not in child] == []
