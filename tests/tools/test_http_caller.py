from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

import pytest

from ringserve.tools.address import Address
from ringserve.tools.http_caller import (
    Caller,
    CallError,
    CallTimeoutError,
    LostError,
    NotHttpError,
    RefusedError,
    UnreachableError,
)
from tests.tools.stand_in import StandIn, served


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[Address]:
    """Accept one connection and let `answer` write to it."""

    def accept() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            answer(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept)
        thread.start()
        yield Address("127.0.0.1", listener.getsockname()[1])
        thread.join()


def test_many_calls_share_one_connection() -> None:
    bodies: list[bytes] = []
    connections = set()

    def echo(body: bytes) -> tuple[int, object]:
        bodies.append(body)
        return 200, body

    with (
        served(StandIn({"POST /echo": echo})) as server,
        Caller(Address("127.0.0.1", server.port), 5) as caller,
    ):
        for number in range(3):
            assert caller.post("/echo", b"%d" % number).body == b"%d" % number
            assert caller._socket is not None
            connections.add(caller._socket.getsockname())
        assert caller.get("/none").status == 404
    assert bodies == [b"0", b"1", b"2"]
    assert len(connections) == 1


def test_an_answer_that_ends_with_the_connection_is_whole() -> None:
    with (
        answering(lambda peer: peer.sendall(b"HTTP/1.1 200 OK\r\nserver: old\r\n\r\nall of it")) as address,
        Caller(address, 5) as caller,
    ):
        reply = caller.get("/")
    assert (reply.status, reply.body, reply.server) == (200, b"all of it", "old")


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", NotHttpError),
        (b"", LostError),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", LostError),
    ],
)
def test_what_is_no_whole_answer_is_an_error(sent: bytes, error: type[CallError]) -> None:
    with (
        answering(lambda peer: peer.sendall(sent)) as address,
        Caller(address, 5) as caller,
        pytest.raises(error),
    ):
        caller.get("/")


def test_a_server_that_trickles_is_cut_off_at_the_time_limit_of_the_whole_call() -> None:
    done = threading.Event()

    def trickle(peer: socket.socket) -> None:
        peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        try:
            while not done.wait(0.01):
                peer.sendall(b"x")
        except OSError:
            done.set()

    started = perf_counter()
    with answering(trickle) as address, Caller(address, 0.2) as caller:
        with pytest.raises(CallTimeoutError, match=r"within 0\.2 s"):
            caller.get("/")
        done.set()
    assert perf_counter() - started >= 0.2


def test_nobody_there_and_no_such_host_are_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with Caller(Address("127.0.0.1", port), 5) as caller, pytest.raises(RefusedError, match="refused"):
        caller.get("/")
    with Caller(Address("no-such-host.invalid", 80), 5) as caller, pytest.raises(UnreachableError):
        caller.get("/")
