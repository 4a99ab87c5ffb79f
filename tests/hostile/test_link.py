"""A stranger on a worker's link, while gateways and callers of the same worker go on."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator

import pytest

from ringserve.errors import ANSWERS, BadRequest, MethodNotAllowed, ModelGone, QueueFull
from ringserve.limits import LINKS_MAX
from ringserve.models.digits import digits_path
from ringserve.net.link_server import SILENCE_MAX_S
from ringserve.wire import records
from ringserve.wire.control import STATISTICS, Control, decode_controlled, encode_control
from ringserve.wire.frames import CANCEL_BYTES_MAX, CONTROL_BYTES_MAX, HEADER, HELLO_BYTES_MAX, Kind, frame
from ringserve.wire.model_counts import decode_counts
from tests.hostile.neighbour import beside, image
from tests.hostile.stranger import HELLO, Stranger, request_record, signature
from tests.integration.servers import Server, Servers, until

FLAT = signature(1, 64)
PAYLOAD = struct.pack("<64f", *image(7))
REFUSED = records.FIRST_ERROR + ANSWERS.index(BadRequest)
GONE = records.FIRST_ERROR + ANSWERS.index(ModelGone)
FULL = records.FIRST_ERROR + ANSWERS.index(QueueFull)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    with Servers(tmp_path_factory.mktemp("logs")) as servers:
        gateway, (worker,) = servers.fleet(digits_path(), 1, "--max-queue", "200", "--cache-capacity", "0")
        yield gateway, worker


GREETINGS = {
    "another version": frame(Kind.HELLO, b'{"link":1,"called":"x"}'),
    "no hello": frame(Kind.PING),
    "no JSON": frame(Kind.HELLO, b"\xff" * 100),
    "deep JSON": frame(Kind.HELLO, b"[" * 100_000),
    "a name without end": frame(Kind.HELLO, json.dumps({"link": 2, "called": "x" * 900_000}).encode()),
    "a hello beyond its limit": HEADER.pack(HELLO_BYTES_MAX + 1, Kind.HELLO),
    "HTTP": b"POST /infer HTTP/1.1\r\n\r\n",
}
SAID = {
    "a second hello": HELLO,
    "an unknown kind": HEADER.pack(0, 99),
    "a worker's kind": frame(Kind.ANSWERS, bytes(4)),
    "a frame beyond its limit": HEADER.pack(0xFFFFFFFF, Kind.REQUESTS),
    "a ping with a body": frame(Kind.PING, b"x"),
    "a cancel beyond its limit": HEADER.pack(CANCEL_BYTES_MAX + 4, Kind.CANCEL),
    "a cancel that is no list": frame(Kind.CANCEL, b"abc"),
    "a control frame that is none": frame(Kind.CONTROL, b"{}"),
    "a control frame beyond its limit": HEADER.pack(CONTROL_BYTES_MAX + 1, Kind.CONTROL),
    "half a record": frame(Kind.REQUESTS, bytes(10)),
    "a record longer than its frame": frame(Kind.REQUESTS, request_record(1, PAYLOAD, FLAT)[:-1]),
    "a number twice": frame(Kind.REQUESTS, request_record(1, PAYLOAD, FLAT) * 2),
    "100,000 requests": frame(
        Kind.REQUESTS, b"".join(request_record(number, PAYLOAD, FLAT) for number in range(1, 100_001))
    ),
    "millions of empty requests": frame(Kind.REQUESTS, bytes(33 * 3_000_000)),
}


def test_whoever_breaks_a_rule_of_the_link_is_closed_upon(fleet: tuple[Server, Server]) -> None:
    gateway, worker = fleet
    open_ones = []
    with beside(gateway), beside(worker, growth_max=128 << 20):
        for name, hello in GREETINGS.items():
            with Stranger(worker, hello) as stranger:
                open_ones += [] if stranger.is_closed() else [name]
        for name, said in SAID.items():
            with Stranger(worker) as stranger:
                stranger.send(said)
                open_ones += [] if stranger.is_closed() else [name]
    assert open_ones == []
    assert " error " not in worker.log()


def test_a_request_that_does_not_fit_is_refused_and_the_link_goes_on(fleet: tuple[Server, Server]) -> None:
    gateway, worker = fleet
    huge = json.dumps(["digits", "", [["pixels", "FP32", [2**40, 64]]], []]).encode()
    empty = json.dumps(["digits", "", [["pixels", "FP32", [2**31, 0]]], []]).encode()
    wrong = {
        "a size beyond any": request_record(1, PAYLOAD, huge),
        "a size hidden behind a 0": request_record(2, b"", empty),
        "a size that is not sent": request_record(3, PAYLOAD, signature(2**18, 64)),
        "too few bytes": request_record(4, PAYLOAD[:-1], FLAT),
        "too many bytes": request_record(5, PAYLOAD + b"x", FLAT),
        "another model": request_record(6, PAYLOAD, signature(1, 64, model="other")),
        "another input": request_record(7, PAYLOAD, signature(1, 64, name="other")),
        "another shape": request_record(8, PAYLOAD, signature(64)),
        "no signature": request_record(9, PAYLOAD, b"\xff" * 100),
        "a deep signature": request_record(10, PAYLOAD, b"[" * 60_000),
    }
    with beside(gateway), beside(worker), Stranger(worker) as stranger:
        stranger.send(frame(Kind.REQUESTS, b"".join(wrong.values())))
        answers = stranger.answers(len(wrong))
        assert {answer.id: answer.status for answer in answers} == dict.fromkeys(range(1, 11), REFUSED)
        stranger.send(frame(Kind.REQUESTS, request_record(11, PAYLOAD, FLAT)))
        (answer,) = stranger.answers(1)
        assert (answer.id, answer.status) == (11, records.COMPUTED)
        stranger.send(frame(Kind.REQUESTS, request_record(12, PAYLOAD, FLAT, model=999)))
        (answer,) = stranger.answers(1)
        assert (answer.id, answer.status) == (12, GONE)


def test_what_a_stranger_asks_beside_requests_is_answered_and_changes_nothing(
    fleet: tuple[Server, Server],
) -> None:
    gateway, worker = fleet
    asked = {
        1: ("load", "digits"),
        2: ("unload", "digits"),
        3: ("erase", ""),
        4: (STATISTICS, "\u2603" * 300),
    }
    with beside(gateway), beside(worker), Stranger(worker) as stranger:
        for number, (action, name) in asked.items():
            stranger.send(frame(Kind.CONTROL, encode_control(Control(number, action, name))))
        answers = [decode_controlled(stranger.next(Kind.CONTROLLED)) for _ in asked]
    told = {answer.id: type(answer.error()) for answer in answers}
    assert told == {1: MethodNotAllowed, 2: MethodNotAllowed, 3: MethodNotAllowed, 4: type(None)}
    (counted,) = decode_counts(answers[3].message).items()
    assert counted[0][:2] == ("digits", "1")


def test_what_is_beyond_the_queue_is_shed_and_a_number_may_be_used_again(
    fleet: tuple[Server, Server],
) -> None:
    _gateway, worker = fleet
    with Stranger(worker) as stranger:
        count = stranger.hello.credit_items
        for _ in range(2):
            many = b"".join(request_record(number, PAYLOAD, FLAT) for number in range(1, count + 1))
            stranger.send(frame(Kind.REQUESTS, many))
            answers = stranger.answers(count)
            assert {answer.id for answer in answers} == set(range(1, count + 1))
            assert {answer.status for answer in answers} <= {records.COMPUTED, FULL}


def test_cancels_of_numbers_that_nobody_has_are_passed_over(fleet: tuple[Server, Server]) -> None:
    gateway, worker = fleet
    cancels = frame(Kind.CANCEL, struct.pack("<250000I", *range(250_000)))
    with beside(gateway), beside(worker), Stranger(worker) as stranger:
        for _ in range(10):
            stranger.send(cancels)
        stranger.send(frame(Kind.REQUESTS, request_record(1, PAYLOAD, FLAT)) + frame(Kind.PING))
        stranger.next(Kind.PONG)
        assert stranger.answers(1)[0].status == records.COMPUTED


def test_pings_that_come_together_get_one_answer(fleet: tuple[Server, Server]) -> None:
    _gateway, worker = fleet
    with Stranger(worker) as stranger:
        stranger.send(frame(Kind.PING) * 50 + frame(Kind.REQUESTS, request_record(1, PAYLOAD, FLAT)))
        assert stranger.answers(1)[0].status == records.COMPUTED
        stranger.send(frame(Kind.PING))
        stranger.next(Kind.PONG)


def test_pings_without_end_close_the_link_and_cost_little(fleet: tuple[Server, Server]) -> None:
    gateway, worker = fleet
    flood = frame(Kind.PING) * 20_000
    with beside(gateway), beside(worker):
        for _ in range(20):
            with Stranger(worker) as stranger:
                stranger.send(flood)
                assert stranger.is_closed()
    assert "pings came at once" in worker.log()


def test_one_who_stops_within_a_frame_or_before_the_hello_is_closed_upon(
    fleet: tuple[Server, Server],
) -> None:
    gateway, worker = fleet
    with (
        beside(gateway),
        beside(worker, growth_max=96 << 20),
        Stranger(worker, b"") as mute,
        Stranger(worker) as half,
        Stranger(worker) as whole,
    ):
        half.send(HEADER.pack(1 << 28, Kind.REQUESTS) + bytes(32 << 20))
        for link in (mute, half):
            link.socket.settimeout(3 * SILENCE_MAX_S)
            assert link.is_closed()
        whole.send(frame(Kind.PING))
        whole.next(Kind.PONG)
    assert f"silent for {SILENCE_MAX_S:g} s in the middle of a frame" in worker.log()


def test_links_beyond_the_limit_are_refused_and_room_comes_back(fleet: tuple[Server, Server]) -> None:
    gateway, worker = fleet
    links: list[Stranger] = []
    with beside(gateway), beside(worker):
        try:
            while len(links) <= LINKS_MAX and (not links or links[-1].status == 101):
                links.append(Stranger(worker))
            assert links[-1].status == 503
            assert len(links) == LINKS_MAX  # one of them is the gateway's, the last was refused
        finally:
            for link in links:
                link.socket.close()
    until(lambda: status_of_a_link(worker) == 101, worker.log)


def status_of_a_link(worker: Server) -> int:
    """What a new link is told."""
    with Stranger(worker) as stranger:
        return stranger.status


def test_a_link_at_a_gateways_door_is_refused(fleet: tuple[Server, Server]) -> None:
    gateway, _worker = fleet
    assert status_of_a_link(gateway) == 503
