"""What the clients do when a server resets, refuses, is silent or gone: both, and the same."""

from __future__ import annotations

import asyncio
import socket
import threading
from time import monotonic

import numpy as np
import pytest

import ringserve
from tests.client.shells import BUSY, GOOD, SHELLS, Maker, Scripted, scripted
from tests.integration.servers import until

INPUTS = {"x": np.zeros((1, 2), np.float32)}


@pytest.fixture(params=SHELLS, ids=["threads", "asyncio"])
def shell(request: pytest.FixtureRequest) -> Maker:
    made: Maker = request.param
    return made


def timeouts(server: Scripted) -> list[int]:
    """What each request said of the time left."""
    named = [data.partition(b"X-Request-Timeout-Ms: ")[2] for data in server.seen]
    return [int(one.partition(b"\r\n")[0]) for one in named]


@pytest.mark.parametrize("fault", ["reset", "close", BUSY % 503, BUSY % 429])
def test_a_request_that_got_no_answer_is_sent_again_as_it_was(shell: Maker, fault: bytes | str) -> None:
    with scripted(fault, fault, GOOD) as server, shell(server.url, retries=2) as client:
        assert dict(client.infer("m", INPUTS)) == {}
        bodies = {data.partition(b"\r\n\r\n")[2] for data in server.seen}
        assert len(server.seen) == 3
        assert len(bodies) == 1
        assert sorted(timeouts(server), reverse=True) == timeouts(server)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("reset", ringserve.ConnectionFailed),
        (BUSY % 503, ringserve.Unavailable),
        (BUSY % 429, ringserve.Overloaded),
    ],
)
def test_it_is_not_sent_more_often_than_told(
    shell: Maker, fault: bytes | str, error: type[ringserve.ClientError]
) -> None:
    with scripted(fault, fault, GOOD) as server, shell(server.url, retries=1) as client:
        with pytest.raises(error):
            client.infer("m", INPUTS)
        assert len(server.seen) == 2


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n", ringserve.ModelFailed),
        (b"HTTP/1.1 400 X\r\nContent-Length: 0\r\n\r\n", ringserve.BadInput),
        (b"HTTP/1.1 302 X\r\nContent-Length: 0\r\n\r\n", ringserve.RequestRefused),
        (b"HTTP/1.1 200 X\r\nContent-Length: 2\r\n\r\n[]", ringserve.BadAnswer),
        (b"SSH-2.0-Server\r\n", ringserve.BadAnswer),
        (GOOD[:-1] + b"", ringserve.ConnectionFailed),
    ],
)
def test_whatever_else_came_is_final(shell: Maker, fault: bytes, error: type[ringserve.ClientError]) -> None:
    cut = fault.replace(b"HTTP/1.1 200 OK", b"HTTP/1.1 200 OK\r\nConnection: close")
    with scripted(cut, GOOD) as server, shell(server.url) as client:
        with pytest.raises(error):
            client.infer("m", INPUTS)
        assert len(server.seen) == 1


def test_the_time_to_come_again_is_kept_to_unless_it_is_too_late(shell: Maker) -> None:
    later = b"HTTP/1.1 429 X\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"
    with scripted(later, GOOD) as server, shell(server.url) as client:
        began = monotonic()
        client.infer("m", INPUTS)
        assert monotonic() - began >= 1.0
        assert timeouts(server)[1] <= 29_000
    with scripted(later, GOOD) as server, shell(server.url, timeout_s=0.9) as client:
        with pytest.raises(ringserve.Overloaded) as caught:
            client.infer("m", INPUTS)
        assert caught.value.retry_after_s == 1.0
        assert len(server.seen) == 1


def test_a_connection_is_kept_and_replaced_at_once_where_the_server_had_closed_it(shell: Maker) -> None:
    with scripted(GOOD, GOOD, "reset", GOOD) as server, shell(server.url, retries=0) as client:
        for _ in range(2):
            client.infer("m", INPUTS)
        assert server.connections == 1
        client.infer("m", INPUTS)
        assert (server.connections, len(server.seen)) == (2, 4)


def test_bytes_that_came_unasked_on_a_kept_connection_are_no_answer(shell: Maker) -> None:
    with scripted("late", GOOD) as server, shell(server.url, retries=0) as client:
        client.infer("m", INPUTS)
        server.go.set()
        assert server.left.wait(10)
        assert client.infer("m", INPUTS).model == "m"
        assert server.connections == 2


def test_an_answer_that_closes_the_connection_is_an_answer(shell: Maker) -> None:
    closing = GOOD.replace(b"200 OK", b"200 OK\r\nConnection: close")
    without_size = b"HTTP/1.1 200 OK\r\n\r\n" + GOOD.partition(b"\r\n\r\n")[2]
    with scripted(closing, without_size, GOOD) as server, shell(server.url, retries=0) as client:
        for _ in range(3):
            assert client.infer("m", INPUTS).model == "m"
        assert server.connections == 3


def test_a_silent_server_is_left_at_the_deadline(shell: Maker) -> None:
    with scripted("silence") as server, shell(server.url, timeout_s=20) as client:
        with pytest.raises(ringserve.DeadlineExceeded, match=r"within 0\.2 s"):
            client.infer("m", INPUTS, timeout_s=0.2)
        assert server.left.wait(10)
        assert timeouts(server)[0] <= 200


def test_loading_is_not_asked_for_twice_where_it_may_have_arrived(shell: Maker) -> None:
    with scripted(GOOD, "reset", GOOD) as server, shell(server.url) as client:
        client.infer("m", INPUTS)
        with pytest.raises(ringserve.ConnectionFailed):
            client.load("m")
        assert server.seen[1].startswith(b"POST /v2/repository/models/m/load ")
        assert len(server.seen) == 2
        client.unload("m")
        assert server.seen[2].startswith(b"POST /v2/repository/models/m/unload ")


def test_where_nobody_listens_nothing_is_live_and_a_call_says_so(shell: Maker) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with shell(f"http://127.0.0.1:{port}", retries=1) as client:
        assert not client.live()
        assert not client.ready()
        with pytest.raises(
            ringserve.ConnectionFailed, match=f"no connection to 127.0.0.1:{port}: Connection refused"
        ):
            client.infer("m", INPUTS)


def test_a_server_that_comes_later_is_waited_for(shell: Maker) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()

    def start() -> None:
        with socket.create_server(address) as late:
            server = Scripted([GOOD], late)
            peer, _ = late.accept()
            with peer:
                server._step(peer)

    late = threading.Timer(0.3, start)
    late.start()
    with shell(f"http://127.0.0.1:{address[1]}", retries=20) as client:
        assert client.infer("m", INPUTS).model == "m"
    late.join()


def test_a_closed_client_refuses_to_be_used_and_numbers_that_cannot_be_meant_too(shell: Maker) -> None:
    with scripted() as server:
        with shell(server.url) as client:
            client.infer("m", INPUTS)
            with pytest.raises(ValueError, match="timeout_s"):
                client.infer("m", INPUTS, timeout_s=0)
            client.close()
            with pytest.raises(ValueError, match="closed"):
                client.live()
        for wrong in ({"timeout_s": -1}, {"retries": -1}):
            with pytest.raises(ValueError, match=next(iter(wrong))):
                shell(server.url, **wrong)


def test_a_task_that_is_cancelled_closes_its_connection() -> None:
    async def leave(server: Scripted) -> None:
        async with ringserve.AsyncClient(server.url) as client, asyncio.TaskGroup() as tasks:
            task = tasks.create_task(client.infer("m", INPUTS))
            await asyncio.to_thread(until, lambda: bool(server.seen), lambda: "nothing")
            task.cancel()
            assert await asyncio.to_thread(server.left.wait, 10)

    with scripted("silence") as server:
        asyncio.run(leave(server))


def test_calls_beyond_the_connections_there_may_be_take_turns() -> None:
    async def ask(server: Scripted) -> None:
        async with ringserve.AsyncClient(server.url, connections_max=1) as client:
            await asyncio.gather(*(client.infer("m", INPUTS) for _ in range(20)))

    with scripted() as server:
        asyncio.run(ask(server))
        assert (server.connections, len(server.seen)) == (1, 20)


def test_idle_connections_beyond_those_kept_are_closed() -> None:
    with scripted() as server, ringserve.Client(server.url, connections_kept=0) as client:
        for _ in range(3):
            client.infer("m", INPUTS)
        assert server.connections == 3
