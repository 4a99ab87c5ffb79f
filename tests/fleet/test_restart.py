"""`ringserve restart`, SIGHUP and terminals, with real fleets under load."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ringserve.fleet.runtime_folder import socket_path
from ringserve.tools.processes import ringserve_processes
from tests.faults.crowd import Crowd, tally
from tests.integration.servers import Server, Servers, until
from tests.support import models

pytestmark = pytest.mark.alone


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    with Servers(tmp_path) as started:
        yield started


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.slow(tmp_path_factory.mktemp("model") / "slow.onnx", seconds=0.005)


def children_of(server: Server) -> set[int]:
    return {one.pid for one in ringserve_processes() or [] if one.parent == server.process.pid}


def all_ready(server: Server, lines: int) -> Server:
    server.wait_ready()
    until(lambda: server.log().count("ready on") == lines, server.log)
    return server


def restart(port: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ringserve", "restart", "--port", str(port)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)


def test_all_are_renewed_under_load_and_no_request_fails(servers: Servers, model: Path) -> None:
    server = all_ready(servers.up(str(model), "--gateways", "2", workers=3), lines=5)
    before = children_of(server)
    crowd = Crowd(server.port, 20)
    with crowd.running():
        until(lambda: len(crowd.shots) > 100, lambda: len(crowd.shots))
        said = restart(server.port)
        began = len(crowd.shots)
        until(lambda: len(crowd.shots) > began + 100, lambda: len(crowd.shots))
    assert (said.returncode, said.stderr) == (0, "")
    steps = said.stdout.splitlines()
    assert steps[:3] == ["worker_1 draining", "worker_1 starting", "worker_1 ready (1 of 5)"]
    assert steps[-1] == "gateway_2 ready (5 of 5)"
    after = children_of(server)
    assert len(after) == 5
    assert not before & after
    assert crowd.refused == 0
    assert tally(crowd.shots, model).faultless()
    assert server.stop() == 0
    assert not socket_path(server.port).exists()


def test_one_gateway_and_two_workers_are_renewed_without_a_failed_request(
    servers: Servers, model: Path
) -> None:
    server = all_ready(servers.up(str(model)), lines=3)
    crowd = Crowd(server.port, 10)
    with crowd.running():
        until(lambda: len(crowd.shots) > 100, lambda: len(crowd.shots))
        assert restart(server.port).returncode == 0
    assert crowd.refused == 0
    assert tally(crowd.shots, model).faultless()


def test_a_single_worker_is_away_for_a_moment_and_that_is_said(servers: Servers, model: Path) -> None:
    server = all_ready(servers.up(str(model), workers=1), lines=2)
    crowd = Crowd(server.port, 4)
    with crowd.running():
        until(lambda: len(crowd.shots) > 20, lambda: len(crowd.shots))
        said = restart(server.port)
    assert said.returncode == 0
    assert said.stdout.startswith("there is one worker: requests get 503 until its successor is ready\n")
    found = tally(crowd.shots, model)
    assert (found.lost, found.wrong) == (0, 0)
    assert set(found.refused) <= {503}
    assert all(shot.retry_after for shot in crowd.shots if shot.status == 503)


def test_a_new_model_file_is_served_after_a_restart(servers: Servers, tmp_path: Path, model: Path) -> None:
    """A fleet never mixes two models; requests are answered by one of them all the while."""
    path = tmp_path / "m.onnx"
    shutil.copy(model, path)
    server = all_ready(servers.up(str(path), workers=3), lines=4)
    models.failing_on_value(tmp_path / "next.onnx")
    (tmp_path / "next.onnx").replace(path)
    crowd = Crowd(server.port, 10)
    with crowd.running():
        until(lambda: len(crowd.shots) > 100, lambda: len(crowd.shots))
        assert restart(server.port).returncode == 0
    assert {shot.status for shot in crowd.shots} == {200}
    assert server.infer([1.0, 2.0, 3.0, 4.0]).json["output_data"] == [2.0, 4.0, 6.0, 8.0]


def test_a_model_that_cannot_be_loaded_ends_the_restart_and_the_others_serve_on(
    servers: Servers, tmp_path: Path, model: Path
) -> None:
    path = tmp_path / "m.onnx"
    shutil.copy(model, path)
    server = all_ready(servers.up(str(path), workers=3), lines=4)
    before = children_of(server)
    path.write_bytes(b"nothing")
    said = restart(server.port)
    assert said.returncode == 1
    (line,) = said.stderr.splitlines()
    assert line.startswith("ringserve restart: the new worker_1 did not become ready: ")
    assert str(path) in line
    assert len(before & children_of(server)) == 3
    assert {server.infer([float(number)] * 4).status for number in range(20)} == {200}
    shutil.copy(model, path)
    assert restart(server.port).returncode == 0
    assert len(children_of(server)) == 4
    assert not before & children_of(server)


def test_a_port_without_a_fleet_is_one_line_and_status_2(servers: Servers) -> None:
    server = servers.up().wait_ready()
    assert server.stop(signal.SIGKILL) == -signal.SIGKILL
    assert socket_path(server.port).exists()  # left behind by the kill, and known to be stale
    for port in (server.port, 1):
        said = restart(port)
        assert (said.returncode, said.stdout) == (2, "")
        expected = f"ringserve: no `ringserve up` of this user serves port {port}; "
        assert said.stderr == expected + "name the port of its gateway with --port\n"


def test_who_waits_for_a_restart_hears_that_the_fleet_ended(servers: Servers) -> None:
    server = all_ready(servers.up(), lines=3)
    command = [sys.executable, "-m", "ringserve", "restart", "--port", str(server.port)]
    asking = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert asking.stdout is not None
    asking.stdout.readline()
    server.stop(signal.SIGKILL)
    _, errors = asking.communicate(timeout=30)
    assert (asking.returncode, errors) == (
        1,
        "ringserve restart: `ringserve up` ended before the restart did\n",
    )


def in_terminal(servers: Servers) -> tuple[Server, int]:
    """A fleet that leads the session of a new terminal, and the terminal's other end."""
    here, there = os.openpty()
    program = str(Path(__file__).with_name("in_terminal.py"))
    words = ["up", "--port", "0", "--base-port", "0", "--workers", "2"]
    server = servers.start(*words, prefix=[sys.executable, program, os.ttyname(there)])
    os.close(there)
    return all_ready(server, lines=3), here


def test_without_a_terminal_a_hangup_renews(servers: Servers) -> None:
    words = ["up", "--port", "0", "--base-port", "0", "--workers", "1"]
    server = all_ready(servers.start(*words, prefix=["setsid"]), lines=2)
    server.send_signal(signal.SIGHUP)
    until(lambda: "all were restarted" in server.log(), server.log)
    assert server.log().count("ready on") == 4
    assert server.stop() == 0


def test_a_terminal_that_is_closed_drains(servers: Servers) -> None:
    server, terminal = in_terminal(servers)
    os.close(terminal)
    assert server.wait() == 0
    assert "draining gateway" in server.log()
    assert "restarting" not in server.log()


def test_ctrl_c_in_a_terminal_reaches_up_alone_which_drains_in_order(servers: Servers, model: Path) -> None:
    server, terminal = in_terminal(servers)
    children = children_of(server)
    assert len(children) == 3
    assert {os.getsid(pid) for pid in children} == children  # each leads its own session
    os.write(terminal, b"\x03")
    assert server.wait() == 0
    os.close(terminal)
    told = [line.partition("up: ")[2] for line in server.log().splitlines() if "up: " in line]
    assert told == ["draining gateway", "draining worker_1, worker_2", "all have ended"]
