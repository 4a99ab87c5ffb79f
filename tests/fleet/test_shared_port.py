"""Several real gateways on one port: who answers, and what the death or the leaving of one costs."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ringserve.tools.processes import Process, ringserve_processes
from tests.faults.crowd import Crowd, tally
from tests.integration.servers import Connection, Server, Servers, chunked, infer_body, request, until
from tests.support import models

DIGITS = [0.0] * 64


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    with Servers(tmp_path) as started:
        yield started


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose runs take long enough that requests are in flight at any moment."""
    return models.slow(tmp_path_factory.mktemp("model") / "slow.onnx", seconds=0.005)


def gateways_of(server: Server) -> list[Process]:
    own = [one for one in ringserve_processes() or [] if one.parent == server.process.pid]
    return [one for one in own if one.role == "gateway"]


def all_ready(server: Server, lines: int) -> Server:
    server.wait_ready()
    until(lambda: server.log().count("ready on") == lines, server.log)
    return server


def who_answers(server: Server) -> str:
    """The part of a made request id that is different for each gateway."""
    return str(server.infer(DIGITS).json["request_id"]).partition("-")[0]


def test_all_gateways_answer_on_the_one_port(servers: Servers) -> None:
    server = all_ready(servers.up("--gateways", "3"), lines=5)
    seen: Counter[str] = Counter()

    def look() -> bool:
        connections = [server.connect() for _ in range(30)]
        for connection in connections:
            with connection:
                seen[connection.ask(request(infer_body(DIGITS))).json["request_id"].partition("-")[0]] += 1
        return len(seen) == 3

    until(look, lambda: seen)
    assert server.stop() == 0


def test_the_port_of_a_fleet_is_taken_for_the_next_one(servers: Servers) -> None:
    first = servers.up().wait_ready()
    second = servers.up("--port", str(first.port))
    assert second.wait() == 2
    (line,) = second.log().splitlines()
    assert f"port {first.port} on 127.0.0.1 is already taken" in line
    assert first.infer(DIGITS).status == 200


def test_a_killed_gateway_takes_only_what_was_in_flight_on_it(servers: Servers, model: Path) -> None:
    """Both are killed in turn, since one of them may have got all connections."""
    server = all_ready(servers.up(str(model), "--gateways", "2"), lines=4)
    crowd = Crowd(server.port, 20)
    with crowd.running():
        for ready, gateway in enumerate(gateways_of(server), 5):
            before = len(crowd.shots)
            until(lambda: len(crowd.shots) > before + 100, lambda: len(crowd.shots))  # noqa: B023
            os.kill(gateway.pid, signal.SIGKILL)
            until(lambda: server.log().count("ready on") == ready, server.log)  # noqa: B023
        before = len(crowd.shots)
        until(lambda: len(crowd.shots) > before + 100, lambda: len(crowd.shots))
    found = tally(crowd.shots, model)
    assert crowd.refused == 0
    assert (found.wrong, found.refused) == (0, Counter())
    assert 0 < found.lost <= 2 * crowd.clients
    assert found.right == found.sent - found.lost


def test_the_only_gateway_may_die_and_who_comes_meanwhile_waits(servers: Servers) -> None:
    server = all_ready(servers.up(), lines=3)
    os.kill(gateways_of(server)[0].pid, signal.SIGKILL)
    assert [server.infer(DIGITS).status for _ in range(3)] == [200, 200, 200]
    assert server.log().count("gateway ready on") == 2
    assert server.stop() == 0


def test_a_gateway_that_leaves_alone_leaves_the_queue_to_the_others(servers: Servers, model: Path) -> None:
    server = all_ready(servers.up(str(model), "--gateways", "2"), lines=4)
    crowd = Crowd(server.port, 20)
    with crowd.running():
        for pid in [gateway.pid for gateway in gateways_of(server)]:
            before = len(crowd.shots)
            until(lambda: len(crowd.shots) > before + 100, lambda: len(crowd.shots))  # noqa: B023
            os.kill(pid, signal.SIGTERM)
            until(lambda: pid not in {one.pid for one in gateways_of(server)}, server.log)  # noqa: B023
            until(lambda: len(gateways_of(server)) == 2, server.log)
    assert crowd.refused == 0
    assert tally(crowd.shots, model).faultless()


def is_asked_to_stop(pid: int) -> bool:
    """Whether a process that is held has a SIGTERM waiting for it."""
    (pending,) = re.findall(r"^ShdPnd:\s+([0-9a-f]+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return bool(int(pending, 16) >> (signal.SIGTERM - 1) & 1)


def is_held(pid: int) -> bool:
    """Whether a SIGSTOP has taken hold of a process."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


@pytest.mark.parametrize("alone", [True, False])
def test_what_waits_in_the_queue_when_all_stops_is_answered(servers: Servers, alone: bool) -> None:
    """The gateways are held so that the kernel accepts for them, then told to stop, then let go.

    An answer may leave in the moment before a gateway learns that it stops; that connection is closed as
    an idle one.
    """
    if alone:
        server = servers.start("up", "--port", "0", "--base-port", "0", "--workers", "1").wait_ready()
    else:
        server = all_ready(servers.up("--gateways", "2"), lines=4)
    held = [gateway.pid for gateway in gateways_of(server)]
    for pid in held:
        os.kill(pid, signal.SIGSTOP)
    # Where both signals wait for a process, the kernel hands it SIGTERM first, and only then holds it.
    until(lambda: all(is_held(pid) for pid in held), server.log)
    waiting = [Connection(socket.create_connection((server.host, server.port))) for _ in range(20)]
    for connection in waiting:
        connection.send(request(infer_body(DIGITS)))
    server.send_signal(signal.SIGTERM)
    until(lambda: all(is_asked_to_stop(pid) for pid in held), server.log)
    for pid in held:
        os.kill(pid, signal.SIGCONT)
    for connection in waiting:
        with connection:
            answer = connection.answer()
            assert answer.status == 200
            assert answer.headers.get("connection", "close") == "close"
            assert connection.is_closed_by_peer()
    assert server.wait() == 0


def is_closed(server: Server) -> bool:
    try:
        server.connect().socket.close()
    except ConnectionRefusedError:
        return True
    return False


def test_each_way_to_ask_is_told_to_close_while_all_stops(servers: Servers) -> None:
    """A request that has begun keeps its connection from being closed as an idle one."""
    server = servers.up(workers=1).wait_ready()
    asked = [
        request(infer_body(DIGITS)),
        chunked(infer_body(DIGITS)),
        request(path="/health", method="GET"),
    ]
    connections = [server.connect() for _ in asked]
    for connection, data in zip(connections, asked, strict=True):
        assert "connection" not in connection.ask(request(path="/health", method="GET")).headers
        connection.send(data[:10])
    server.send_signal(signal.SIGTERM)
    until(lambda: is_closed(server), server.log)
    for connection, data in zip(connections, asked, strict=True):
        with connection:
            assert connection.ask(data[10:]).headers["connection"] == "close"
            assert connection.is_closed_by_peer()
    assert server.wait() == 0


def test_a_descriptor_that_is_no_listening_socket_is_one_line(servers: Servers) -> None:
    gateway = servers.start("gateway", "localhost:1", "--listen-fd", "0")
    assert gateway.wait() == 2
    (line,) = gateway.log().splitlines()
    assert "--listen-fd 0" in line
