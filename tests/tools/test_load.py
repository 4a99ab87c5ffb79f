from __future__ import annotations

import socket

from ringserve.tools.address import Address
from ringserve.tools.load import Plan, Tally, send_load
from tests.tools.stand_in import Answer, StandIn, Worker, served

BODIES = (b'"input_data":[1.0,2.0]}', b'"input_data":[3.0]}')


def load(port: int, *, requests: int = 40, threads: int = 4, time_limit_s: float = 60) -> Tally:
    told: list[int] = []
    plan = Plan(
        gateway=Address("127.0.0.1", port),
        bodies=BODIES,
        requests=requests,
        threads=threads,
        timeout_s=10,
        time_limit_s=time_limit_s,
    )
    tally = send_load(plan, told.append)
    assert told == sorted(told)
    assert told[-1] == tally.succeeded + tally.failed
    assert tally.succeeded + tally.failed + tally.not_sent == requests
    return tally


def reasons(route: Answer) -> dict[str, str]:
    with served(StandIn({"POST /infer": lambda _: route})) as server:
        tally = load(server.port, requests=5, threads=2)
    assert tally.failed == 5
    return {reason: failures.first for reason, failures in tally.failures.items()}


def test_every_request_is_sent_once_and_counted_for_its_worker() -> None:
    with served(Worker()) as worker:
        tally = load(worker.port)
        assert worker.requests == tally.succeeded == 40
    assert tally.nodes["worker_1"].answers == 40
    assert 0 < tally.nodes["worker_1"].cached < 40
    assert all(latency > 0 for latency in tally.latencies_s)


def test_failures_are_counted_by_status_with_the_first_sentence() -> None:
    assert reasons((429, {"error": "the queue is full. Come back."})) == {"429": "the queue is full."}


def test_an_answer_that_is_none_or_for_another_request_is_a_failure() -> None:
    assert reasons((200, b"<html>hello")) == {"not an answer": "no output_data in: <html>hello"}
    (first,) = reasons((200, {"request_id": "other", "output_data": [1]})).items()
    assert first[0] == "wrong answer"
    assert first[1].endswith("answered for other")


def test_nobody_there_fails_each_request_and_repeats_none() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    tally = load(port)
    assert tally.failures["no answer"].count == 40
    assert tally.failures["no answer"].first == "connection refused"


def test_what_the_time_limit_leaves_is_counted_as_not_sent() -> None:
    with served(Worker()) as worker:
        tally = load(worker.port, time_limit_s=1e-9)
    assert tally.not_sent == 40
