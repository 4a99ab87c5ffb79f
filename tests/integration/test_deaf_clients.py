"""Clients that pipeline without end and do not read what comes back."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import pytest

from ringserve.models.digits import digits_path
from tests.integration.servers import Connection, Server, Servers, infer_body, request
from tests.support import models

FLOOD_BYTES = 64 << 20  # far more than the system's own buffers between the two hold
GROWTH_MAX = 48 << 20
STALLED_S = 1.0
DISTINCT = 100
FAST, SLOW = "answered at once", "answered late"
PAGE = request(path="/health", method="GET")


@pytest.fixture(scope="module")
def fleets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Server, list[Server]]]]:
    folder = tmp_path_factory.mktemp("models")
    with Servers(tmp_path_factory.mktemp("logs")) as servers:
        yield {
            FAST: servers.fleet(digits_path()),
            SLOW: servers.fleet(models.slow(folder / "slow.onnx", 0.5), 1, "--batching", "on"),
        }


def numbered(size: int, *, pages: bool) -> list[bytes]:
    """Requests of different inputs whose answers say which they were, with pages between them if asked."""
    bodies = [infer_body([float(n)] + [1.0] * (size - 1), request_id=str(n)) for n in range(DISTINCT)]
    return [part for body in bodies for part in ([request(body), PAGE] if pages else [request(body)])]


def resident(server: Server) -> int:
    """The bytes of memory that a server holds."""
    pages = int(Path("/proc", str(server.process.pid), "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def flood(connection: Connection, requests: list[bytes]) -> int:
    """Send round after round of the requests until nobody takes any more; returns the bytes taken."""
    data, sent = b"".join(requests), 0
    connection.socket.setblocking(False)
    while sent < FLOOD_BYTES:
        if not select.select([], [connection.socket], [], STALLED_S)[1]:
            break
        sent += connection.socket.send(memoryview(data)[sent % len(data) :])
    connection.socket.settimeout(20)
    return sent


def whole(requests: list[bytes], sent: int) -> list[bytes]:
    """The requests that are complete within so many bytes of their rounds."""
    rounds, rest = divmod(sent, sum(map(len, requests)))
    count = rounds * len(requests)
    for part in requests:
        rest -= len(part)
        if rest < 0:
            break
        count += 1
    return list(islice(cycle(requests), count))


@pytest.mark.parametrize("who", ["gateway", "worker"])
@pytest.mark.parametrize(
    ("kind", "size", "pages"),
    [(FAST, 64, False), (SLOW, 4, False), (FAST, 64, True)],
    ids=["answers at once", "answers late", "pages between"],
)
def test_a_client_that_never_reads_is_not_read_from_and_costs_little_memory(
    fleets: dict[str, tuple[Server, list[Server]]], who: str, kind: str, size: int, pages: bool
) -> None:
    gateway, (worker,) = fleets[kind]
    server = gateway if who == "gateway" else worker
    requests = numbered(size, pages=pages)
    before = resident(server)
    with server.connect() as deaf:
        sent = flood(deaf, requests)
        assert sent < FLOOD_BYTES
        assert resident(server) - before < GROWTH_MAX

        neighbour = server.get("/health")
        assert neighbour.status == 200
        if kind == FAST:
            answer = server.infer([9.0] * 64)
            assert (answer.status, len(answer.json["output_data"])) == (200, 10)

        # Once it reads, it gets an answer to each whole request, in order.
        for part in whole(requests, sent):
            answer = deaf.answer()
            assert answer.status == 200 or (kind == SLOW and answer.status == 429)
            if answer.status == 200 and part is not PAGE:
                assert b'"request_id":"%b"' % answer.json["request_id"].encode() in part
        assert resident(server) - before < GROWTH_MAX


@pytest.mark.parametrize("who", ["gateway", "worker"])
def test_a_pipeline_longer_than_may_wait_is_answered_whole(
    fleets: dict[str, tuple[Server, list[Server]]], who: str
) -> None:
    gateway, (worker,) = fleets[FAST]
    server = gateway if who == "gateway" else worker
    for requests in (numbered(64, pages=False) * 10, numbered(64, pages=True) * 10, [PAGE] * 1000):
        with server.connect() as connection:
            connection.send(b"".join(requests))
            assert [connection.answer().status for _ in requests] == [200] * len(requests)
