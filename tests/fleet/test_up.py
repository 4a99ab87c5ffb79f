"""`ringserve up` with its real children."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ringserve.tools.processes import Process, ringserve_processes
from tests.integration.servers import Server, Servers, until


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    with Servers(tmp_path) as started:
        yield started


def children_of(server: Server) -> list[Process]:
    return [process for process in ringserve_processes() or [] if process.parent == server.process.pid]


def worker_of(server: Server) -> Process:
    return next(child for child in children_of(server) if child.role == "worker")


def test_a_worker_that_is_killed_comes_back_and_ctrl_c_drains(servers: Servers) -> None:
    server = servers.up().wait_ready()
    os.kill(worker_of(server).pid, signal.SIGKILL)
    until(lambda: server.log().count("ready on") == 4, server.log)
    assert len(children_of(server)) == 3
    assert server.stop(signal.SIGINT) == 0
    told = [line for line in server.log().splitlines() if "drain" in line]
    assert "gateway" in told[0]
    assert any("worker" in line for line in told[1:])


def test_nothing_is_left_when_up_itself_is_killed(servers: Servers) -> None:
    server = servers.up().wait_ready()
    children = {child.pid for child in children_of(server)}
    assert len(children) == 3
    server.stop(signal.SIGKILL)
    until(lambda: not {one.pid for one in ringserve_processes() or []} & children, server.log)


@pytest.mark.parametrize("kind", ["missing", "corrupt", "taken"])
def test_what_cannot_be_served_is_one_line_and_status_2(servers: Servers, tmp_path: Path, kind: str) -> None:
    model = tmp_path / "m.onnx"
    if kind != "missing":
        model.write_bytes(b"nothing")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        more = ["--port", str(taken.getsockname()[1])] if kind == "taken" else []
        server = servers.up(str(model), *more)
        assert server.wait() == 2
    (line,) = server.log().splitlines()
    assert ("m.onnx" in line) == (kind != "taken")
