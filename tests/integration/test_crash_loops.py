"""Workers under `ringserve up` that cannot be kept alive: given up with one line, while the rest goes on."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from ringserve import limits
from ringserve.models.digits import digits_path
from ringserve.tools.processes import Process, ringserve_processes
from tests.integration.servers import Server, Servers, until


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    with Servers(tmp_path) as started:
        yield started


def workers_of(server: Server) -> list[Process]:
    """The running workers of an `up`."""
    return [
        process
        for process in ringserve_processes() or []
        if process.parent == server.process.pid and process.role == "worker"
    ]


def named(server: Server, name: str) -> Process:
    """The running worker of that name."""
    return next(process for process in workers_of(server) if name in process.arguments)


def kill_at_each_start(server: Server, name: str) -> None:
    """Kill each new process of a worker as soon as it is seen, until `up` gives it up."""

    def given_up() -> bool:
        for process in workers_of(server):
            if name in process.arguments:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
        return any(f"{name} " in line and "given up" in line for line in lines(server))

    until(given_up, server.log)


def lines(server: Server) -> list[str]:
    """What `up` and its children wrote."""
    return server.log().splitlines()


def lines_with(server: Server, *words: str) -> list[str]:
    """The lines that hold all these words."""
    return [line for line in lines(server) if all(word in line for word in words)]


def spoil(model: Path) -> None:
    """Put a corrupt file in the model's place."""
    spoiled = model.with_suffix(".new")
    spoiled.write_bytes(b"no model any more")
    spoiled.replace(model)


def test_a_worker_that_dies_at_each_start_is_given_up_and_the_other_serves_on(servers: Servers) -> None:
    server = servers.up().wait_ready()
    kill_at_each_start(server, "worker_1")
    (line,) = lines_with(server, "worker_1", "given up")
    assert "was ended by SIGKILL" in line
    assert f"it ended {limits.CRASH_LOOP_DEATHS} times within {limits.CRASH_LOOP_WINDOW_S:g} s" in line
    restarts = lines_with(server, "worker_1 was ended by SIGKILL", "it is started again in")
    assert len(restarts) == limits.CRASH_LOOP_DEATHS - 1
    answers = [server.infer([float(number), *[1.0] * 63]) for number in range(20)]
    assert {(answer.status, answer.json["node_id"]) for answer in answers} == {(200, "worker_2")}
    assert not server.ended
    assert [name for process in workers_of(server) for name in process.arguments[1:2]] == ["worker_2"]
    assert server.stop() == 0


def test_the_last_worker_given_up_ends_all_with_1(servers: Servers) -> None:
    server = servers.up(workers=1).wait_ready()
    kill_at_each_start(server, "worker_1")
    assert server.wait() == 1
    assert len(lines_with(server, "worker_1", "given up")) == 1
    assert len(lines_with(server, "no worker is left")) == 1
    assert "Traceback" not in server.log()


def test_a_model_spoiled_while_it_is_served_costs_only_the_worker_that_starts_anew(
    servers: Servers, tmp_path: Path
) -> None:
    model = tmp_path / "spoilt.onnx"
    shutil.copy(digits_path(), model)
    server = servers.up(str(model)).wait_ready()
    spoil(model)
    os.kill(named(server, "worker_1").pid, signal.SIGKILL)
    until(lambda: lines_with(server, "worker_1", "given up") != [], server.log)
    (line,) = lines_with(server, "worker_1", "given up")
    assert "spoilt.onnx" in line
    assert server.infer([1.0] * 64).json["node_id"] == "worker_2"

    os.kill(named(server, "worker_2").pid, signal.SIGKILL)
    assert server.wait() == 1
    assert len(lines_with(server, "worker_2", "given up", "spoilt.onnx")) == 1
    assert len(lines_with(server, "no worker is left")) == 1
