"""HTTP that is unusual or wrong, byte by byte, at both doors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ringserve.models.digits import digits_path
from tests.integration.servers import Server, Servers, chunked, infer_body, request

START = b"POST /infer HTTP/1.1\r\nHost: x\r\n"
GOOD = infer_body([1.0] * 64, request_id="good")
CLOSE = "Connection: close"
Fleet = tuple[Server, list[Server]]


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Servers(tmp_path_factory.mktemp("logs")) as servers:
        yield servers.fleet(digits_path(), 1, "--max-body-mb", "1")


@pytest.fixture(params=["gateway", "worker"])
def door(digits: Fleet, request: pytest.FixtureRequest) -> Server:
    gateway, workers = digits
    return gateway if request.param == "gateway" else workers[0]


def test_a_body_over_the_limit_is_refused_from_its_header(digits: Fleet) -> None:
    _gateway, (worker,) = digits
    assert worker.all_of(START + b"Content-Length: 1048577\r\n\r\n").startswith(b"HTTP/1.1 413 ")
    chunk = b"40000\r\n" + b"1" * 0x40000 + b"\r\n"
    endless = START + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 5
    assert worker.all_of(endless).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nab",
        b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        b"Content-Length: x\r\n\r\n",
        b"Bad Header\r\n\r\n",
    ],
)
def test_a_head_that_could_smuggle_is_refused_and_the_connection_closed(door: Server, head: bytes) -> None:
    answer = door.all_of(START + head)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'{"error":' in answer
    assert b"connection: close" in answer.lower()


def test_pipelined_requests_are_answered_in_order_by_both_ways(door: Server) -> None:
    first, last = GOOD.replace(b"good", b"1st!"), request(path="/model", method="GET")
    with door.connect() as connection:
        connection.send(request(first) + chunked(GOOD) + request(GOOD) + last)
        answers = [connection.answer() for _ in range(4)]
    assert [answer.status for answer in answers] == [200] * 4
    assert [answer.json.get("request_id") for answer in answers] == ["1st!", "good", "good", None]
    assert "inputs" in answers[-1].json
    one, other = (without_what_differs(answer.head, answer.body) for answer in answers[1:3])
    assert one == other


def without_what_differs(head: bytes, body: bytes) -> tuple[bytes, bytes]:
    """An answer without its time, and so without its length and date."""
    return re.sub(rb"(content-length|date): [^\r]+", b"", head), body.split(b"inference_time_us")[0]


def test_an_upgrade_that_is_not_ours_is_ignored_and_its_body_kept(door: Server) -> None:
    offer = (
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
    )
    answer = door.all_of(request(GOOD, *offer) + request(GOOD, CLOSE))
    assert answer.count(b"HTTP/1.1 200 OK") == 2


def test_what_is_refused_behind_pending_requests_waits_its_turn(door: Server) -> None:
    too_large = START + b"Content-Length: 99999999\r\n\r\n" + b"x" * 50
    for wrong, status in ((too_large, b"413"), (b"nonsense\r\n\r\n", b"400")):
        answer = door.all_of(request(GOOD) * 3 + wrong)
        statuses = [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]]
        assert statuses == [b"200"] * 3 + [status]


def test_a_head_that_is_too_long_or_too_slow_is_refused(tmp_path: Path) -> None:
    with Servers(tmp_path) as servers:
        worker = servers.worker(digits_path(), "--max-header-kb", "4", "--header-timeout-s", "1")
        for size in (5_000, 200_000):
            long = START + b"X-Long: " + b"a" * size + b"\r\nContent-Length: 0\r\n\r\n"
            assert worker.all_of(long).startswith(b"HTTP/1.1 431 "), size
        with worker.connect() as cut:
            # The rest of the head comes with a body that is longer than a head may be.
            whole = request(infer_body([1.0] * 64, unknown="x" * 50_000))
            cut.send(whole[: len(START)])
            assert cut.ask(whole[len(START) :]).status == 200
        assert slow_head(worker).startswith(b"HTTP/1.1 408 ")
        assert worker.ask(request(GOOD)).status == 200


def slow_head(server: Server) -> bytes:
    """Send a byte of head now and then, which does not buy more time; returns what came back."""
    with server.connect() as connection:
        connection.socket.settimeout(0.2)
        connection.send(START)
        for _ in range(40):
            try:
                return connection.socket.recv(65536)
            except TimeoutError:
                connection.send(b"a")
    return b""


def test_the_head_of_a_later_request_is_not_measured_by_what_came_with_it(door: Server) -> None:
    """A read may end one head, bring many requests and begin another head."""
    good = request(GOOD)
    with door.connect() as connection:
        connection.send(good[:20])
        assert connection.ask(good[20:] + good * 400 + good[:20]).status == 200
        assert [connection.answer().status for _ in range(400)] == [200] * 400
        assert connection.ask(good[20:]).status == 200
