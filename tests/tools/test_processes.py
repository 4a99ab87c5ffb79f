from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from ringserve.tools.processes import Process, ringserve_processes

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")


def seen(tmp_path: Path, *commands: Sequence[str]) -> list[Process]:
    for pid, words in enumerate(commands, start=100):
        folder = tmp_path / str(pid)
        folder.mkdir()
        (folder / "cmdline").write_bytes("\0".join(words).encode() + b"\0")
        (folder / "stat").write_text(f"{pid} (a ) name) S 42 1 1 0")
    (tmp_path / "meminfo").write_text("")
    found = ringserve_processes(tmp_path)
    assert found is not None
    return found


def test_servers_are_found_however_they_were_started(tmp_path: Path) -> None:
    found = seen(
        tmp_path,
        ["/venv/bin/python", "/venv/bin/ringserve", "worker", "8001", "worker_1", "m.onnx"],
        ["python3.11", "-X", "dev", "-m", "ringserve", "gateway", "localhost:8001", "--port=8000"],
        ["ringserve", "up"],
    )
    assert [(one.pid, one.role) for one in found] == [(100, "worker"), (101, "gateway"), (102, "up")]
    assert [one.parent for one in found] == [42, 42, 42]
    assert found[0].model == "m.onnx"
    assert found[0].names_port(8001)
    assert not found[0].names_port(800)
    assert found[1].names_port(8000)
    assert found[2].model is None


def test_what_only_carries_the_words_is_not_taken_for_a_server(tmp_path: Path) -> None:
    assert not seen(
        tmp_path,
        ["timeout", "60", "ringserve", "worker", "8001"],
        ["sh", "-c", "ringserve worker 8001 worker_1 m.onnx"],
        ["vim", "ringserve"],
        ["python3", "-m", "pytest", "ringserve", "worker"],
        ["python3", "-m"],
        ["python3"],
        ["ringserve", "diagnose"],
        [""],
    )


def test_a_real_process_is_seen_with_its_folder(tmp_path: Path) -> None:
    script = tmp_path / "ringserve"
    script.write_text("print(flush=True)\ninput()")
    command = [sys.executable, str(script), "worker", "18001", "worker_1", "m.onnx"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path) as child:
        assert child.stdout is not None
        child.stdout.readline()
        found = [one for one in ringserve_processes() or [] if one.pid == child.pid]
        child.communicate(b"\n")
    assert [(one.role, one.model) for one in found] == [("worker", str(tmp_path / "m.onnx"))]


def test_a_system_without_proc_cannot_tell(tmp_path: Path) -> None:
    assert ringserve_processes(tmp_path / "none") is None
