"""The door of `up`, knocked at by real sockets."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from ringserve.errors import UsageError
from ringserve.fleet.control import Control, connect, open_control
from ringserve.fleet.runtime_folder import make_folder, socket_path


@pytest.fixture
def port() -> Iterator[int]:
    """A port that nobody else names a socket by, because it is taken here."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def control(port: int) -> Iterator[Control]:
    opened = open_control(port)
    assert opened is not None
    yield opened
    opened.close()
    assert not socket_path(port).exists()


def said(client: socket.socket) -> list[dict[str, object]]:
    """All that comes until the other end closes; one that closes on what it did not read resets."""
    with client.makefile("rb") as lines, suppress(ConnectionResetError):
        return [json.loads(line) for line in lines]
    return []


def refuse() -> str:
    return "not now"


def test_who_asks_hears_all_until_the_end(control: Control, port: int) -> None:
    asked = 0

    def begin() -> str:
        nonlocal asked
        asked += 1
        return ""

    with connect(port) as client:
        control.turn(refuse)
        client.sendall(b'{"do": ')
        control.turn(refuse)
        client.sendall(b'"restart"}\n')
        control.turn(begin)
        control.tell(name="worker_1", stage="draining", done=0)
        control.end("")
        assert said(client) == [{"name": "worker_1", "stage": "draining", "done": 0}, {"end": ""}]
    assert asked == 1
    assert len(control.filenos()) == 1


def test_who_is_refused_hears_why(control: Control, port: int) -> None:
    with connect(port) as client:
        client.sendall(b'{"do": "restart"}\n')
        control.turn(refuse)
        assert said(client) == [{"end": "not now"}]


@pytest.mark.parametrize(
    "line", [b"\n", b"{}\n", b"[1]\n", b"\xff\n", b"[" * 900 + b"\n", b'{"do": "stop"}\n', b"x" * 4000]
)
def test_anything_else_does_nothing(control: Control, port: int, line: bytes) -> None:
    with connect(port) as client:
        client.sendall(line)
        for _ in range(5):
            control.turn(lambda: pytest.fail("asked"))
        assert said(client) in ([], [{"end": "it only knows how to restart"}])
    assert len(control.filenos()) == 1


def test_who_leaves_is_forgotten(control: Control, port: int) -> None:
    connect(port).close()
    control.turn(refuse)
    control.turn(refuse)
    control.tell(of=1)
    assert len(control.filenos()) == 1


def test_there_are_few_places_and_one_who_does_not_read_loses_its_own(control: Control, port: int) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(port)) for _ in range(8)]
        control.turn(refuse)
        with connect(port) as late:
            control.turn(refuse)
            assert said(late) == []
        for _ in range(20_000):
            control.tell(name="worker_1", stage="draining", done=0)
        assert len(control.filenos()) == 1
        assert clients != []


def test_a_stale_socket_is_replaced(port: int) -> None:
    make_folder()
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(socket_path(port)))
    with pytest.raises(UsageError, match=f"no `ringserve up` of this user serves port {port}"):
        connect(port)
    control = open_control(port)
    assert control is not None
    connect(port).close()
    control.close()


def test_the_socket_of_one_that_lives_is_left_to_it(
    control: Control, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert open_control(port) is None
    assert "another `ringserve up` on this port" in caplog.text
    connect(port).close()
    assert len(control.filenos()) == 1
