"""Hostile HTTP at both doors: each is told what is wrong, and nobody beside it sees anything."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from ringserve.models.digits import digits_path
from tests.hostile.attacks import GOOD, ODD, SMUGGLED, START, Attack, wrong_bodies
from tests.hostile.neighbour import beside
from tests.integration.servers import Connection, Server, Servers, chunked, request, until

CONNECTIONS_MAX = 1500
SLOW = ("--header-timeout-s", "1", "--body-timeout-s", "1", "--max-connections", str(CONNECTIONS_MAX))
Fleet = tuple[Server, list[Server]]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Servers(tmp_path_factory.mktemp("logs")) as servers:
        worker = servers.worker(digits_path(), *SLOW)
        yield servers.gateway([worker], *SLOW), [worker]


@pytest.fixture(params=["gateway", "worker"])
def door(fleet: Fleet, request: pytest.FixtureRequest) -> Server:
    return fleet[0] if request.param == "gateway" else fleet[1][0]


def tell(door: Server, attack: Attack) -> None:
    """Send an attack and compare what it is told."""
    with door.connect() as connection:
        # One that is refused while it is sent may still read its answer.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.send(attack.sent)
        statuses = [connection.answer().status for _ in attack.statuses]
        assert statuses == list(attack.statuses)
        if statuses[-1] >= 400 and not attack.stays:
            assert connection.is_closed_by_peer()
        elif statuses[-1] >= 400:
            assert connection.ask(request(GOOD)).status == 200


@pytest.mark.parametrize("attacks", [SMUGGLED, ODD], ids=["smuggled", "odd"])
def test_each_odd_request_gets_its_status_and_nobody_else_sees_it(
    door: Server, attacks: list[Attack]
) -> None:
    with beside(door):
        wrong = []
        for attack in attacks:
            try:
                tell(door, attack)
            except (OSError, AssertionError) as error:
                wrong.append(f"{attack.name}: {error}")
    assert wrong == []
    assert " error " not in door.log()


@pytest.mark.parametrize("wrap", [request, chunked], ids=["fast way", "ordinary way"])
def test_each_wrong_body_gets_its_status_and_nobody_else_sees_it(
    door: Server, wrap: Callable[[bytes], bytes]
) -> None:
    with beside(door, growth_max=64 << 20), door.connect() as connection:
        got = {}
        for name, (body, _status) in wrong_bodies().items():
            answer = connection.ask(wrap(body))
            got[name] = answer.status
            assert len(answer.body) < 1000
            assert answer.status == 200 or answer.error
    assert got == {name: status for name, (_body, status) in wrong_bodies().items()}


def test_a_head_or_a_body_that_drips_is_refused_in_time(door: Server) -> None:
    slow = {
        b"head": START[:9],
        b"body": START + b"Content-Length: 100000\r\n\r\n{",
        b"body in chunks": START + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n",
        b"body after 100": START + b"Expect: 100-continue\r\nContent-Length: 10\r\n\r\n",
    }
    with beside(door), ExitStack() as stack:
        connections = {name: stack.enter_context(door.connect()) for name in slow}
        for name, connection in connections.items():
            connection.send(slow[name])
        end = time.monotonic() + 15
        told: dict[bytes, int] = {}
        while len(told) < len(slow) and time.monotonic() < end:
            for name, connection in connections.items():
                if name not in told:
                    told.update(drip(name, connection))
        assert told == dict.fromkeys(slow, 408)


def drip(name: bytes, connection: Connection) -> dict[bytes, int]:
    """Send a byte more and look for an answer."""
    connection.socket.settimeout(0.05)
    try:
        return {name: connection.answer().status}
    except TimeoutError:
        connection.send(b"a" if name in (b"head", b"body") else b"")
        return {}


def test_a_body_that_keeps_its_rate_may_take_longer_than_the_time_out(door: Server) -> None:
    body = GOOD + b" " * 100_000
    with door.connect() as connection:
        connection.send(request(body)[: -len(body)])
        for start in range(0, len(body), 2_000):
            connection.send(body[start : start + 2_000])
            time.sleep(0.05)  # the pace is what is tested: 40 KB/s for longer than the time-out of 1 s
        assert connection.answer().status == 200


def test_a_pipeline_of_a_thousand_is_answered_in_order(door: Server) -> None:
    with beside(door), door.connect() as connection:
        bodies = [GOOD.replace(b"good", b"%04d" % number) for number in range(1000)]
        connection.send(b"".join(map(request, bodies)))
        ids = [connection.answer().json["request_id"] for _ in bodies]
    assert ids == [f"{number:04d}" for number in range(1000)]


def test_connections_beyond_the_limit_are_told_and_those_within_go_on(door: Server) -> None:
    with beside(door, growth_max=96 << 20), ExitStack() as stack:
        idle = [stack.enter_context(door.connect()) for _ in range(CONNECTIONS_MAX - 50)]
        extra = [stack.enter_context(door.connect()) for _ in range(200)]
        statuses = [status_of(connection) for connection in extra]
        assert statuses.count(503) >= 140
        assert statuses[0] == 200
        assert idle[0].ask(request(GOOD)).status == 200
    until(lambda: door.get("/health").status == 200, door.log)


def test_a_process_takes_as_many_descriptors_as_the_system_lets_it(tmp_path: Path) -> None:
    """Systems give 1,024 at first. Who comes beyond what there is finds it closed; who is there goes on."""
    with Servers(tmp_path) as servers, ExitStack() as stack:
        command = ("worker", "0", "worker_1", str(digits_path()))
        worker = servers.start(*command, prefix=["prlimit", "--nofile=64:200"]).wait_ready()
        crowd = [stack.enter_context(worker.connect()) for _ in range(300)]
        served = sum(map(is_served, crowd))
        assert 150 <= served < 200
        assert crowd[0].ask(request(GOOD)).status == 200
        for connection in crowd:
            connection.socket.close()
        until(lambda: is_well(worker), worker.log)


def is_well(server: Server) -> bool:
    """Whether a new connection is served: until the server has closed the others, it may be reset."""
    with suppress(OSError, AssertionError):
        return server.get("/health").status == 200
    return False


def is_served(connection: Connection) -> bool:
    """Whether a request is answered and not closed upon."""
    with suppress(OSError, AssertionError):
        return connection.ask(request(GOOD)).status == 200
    return False


def status_of(connection: Connection) -> int:
    """The status that a request gets, or that the connection got before it was sent."""
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.send(request(GOOD))
    return connection.answer().status


def test_a_client_that_hangs_up_anywhere_leaves_nothing(door: Server) -> None:
    whole = {request(GOOD), chunked(GOOD), request(path="/health", method="GET")}
    with beside(door):
        for data in whole:
            for end in range(0, len(data), 7):
                with door.connect() as connection:
                    connection.send(data[:end])
                    if end % 2:  # reset instead of a close
                        linger = b"\1\0\0\0\0\0\0\0"
                        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    until(lambda: door.get("/health").json.get("pending", 0) == 0, door.log)
    assert " error " not in door.log()


MEGABYTES = 24 << 20
BIG = {
    "one text": b'{"x":"' + b"a" * MEGABYTES + b'"}',
    "digits": b'{"input_data":[' + b"1," * (MEGABYTES // 2) + b"1]}",
    "one number": b'{"input_data":[' + b"1" * MEGABYTES + b"]}",
    "a depth without end": b"[" * MEGABYTES,
}


@pytest.mark.parametrize("chunk", [0, 1 << 16], ids=["fast way", "ordinary way"])
def test_large_wrong_bodies_leave_no_memory_behind(door: Server, chunk: int) -> None:
    """Three of each: what the allocator keeps of one may stay, not what it keeps of each."""
    with beside(door, growth_max=3 * MEGABYTES):
        for body in BIG.values():
            data = chunked(body, size=chunk) if chunk else request(body)
            assert [door.ask(data).status for _ in range(3)] == [400] * 3


def test_large_bodies_at_once_leave_no_memory_behind(door: Server) -> None:
    """In pieces, side by side, they leave free pages between what is kept: those go back as well."""
    body = BIG["one text"]
    with beside(door, growth_max=MEGABYTES), ExitStack() as stack:
        connections = [stack.enter_context(door.connect()) for _ in range(8)]
        for connection in connections:
            connection.send(request(body)[:-1])  # each waits for its last byte
        for connection in connections[:4]:
            assert connection.ask(body[-1:]).status == 400
