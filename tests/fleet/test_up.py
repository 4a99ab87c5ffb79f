"""`ringserve up` with its real children."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ringserve.tools.processes import Process, ringserve_processes
from tests.integration.processes import Server

LIMIT_S = 30.0


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < until, "the condition did not come true in time"
        time.sleep(0.05)


def children_of(pid: int) -> list[Process]:
    return [process for process in ringserve_processes() or [] if process.parent == pid]


@contextmanager
def up(*arguments: str) -> Iterator[Server]:
    server = Server(["up", "--port", "0", "--base-port", "0", "--workers", "2", *arguments])
    try:
        wait_for(
            lambda: (
                any("gateway ready on" in line for line in server.lines) or server.process.poll() is not None
            )
        )
        yield server
    finally:
        server.end(signal.SIGINT)


def worker_of(server: Server) -> Process:
    return next(child for child in children_of(server.process.pid) if child.role == "worker")


def test_a_worker_that_is_killed_comes_back_and_ctrl_c_drains() -> None:
    with up() as server:
        victim = worker_of(server)
        os.kill(victim.pid, signal.SIGKILL)
        wait_for(lambda: sum("ready on" in line for line in server.lines) == 4)
        assert len(children_of(server.process.pid)) == 3
        assert server.end(signal.SIGINT) == 0
        told = [line for line in server.lines if "drain" in line]
        assert "gateway" in told[0]
        assert any("worker" in line for line in told[1:])


def test_nothing_is_left_when_up_itself_is_killed() -> None:
    with up() as server:
        children = [child.pid for child in children_of(server.process.pid)]
        assert len(children) == 3
        server.end(signal.SIGKILL)
        wait_for(lambda: not {one.pid for one in ringserve_processes() or []} & set(children))


@pytest.mark.parametrize("kind", ["missing", "corrupt", "taken"])
def test_what_cannot_be_served_is_one_line_and_status_2(tmp_path: Path, kind: str) -> None:
    model = tmp_path / "m.onnx"
    if kind != "missing":
        model.write_bytes(b"nothing")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        more = ["--port", str(taken.getsockname()[1])] if kind == "taken" else []
        server = Server(["up", "--port", "0", "--base-port", "0", "--workers", "2", str(model), *more])
        assert server.wait() == 2
    assert len(server.lines) == 1, server.lines
    assert ("m.onnx" in server.lines[0]) == (kind != "taken")
