"""Workers die, hang and drain under load: callers do not notice."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ringserve.models.digits import digits_path
from tests.integration.servers import Answer, Server, Servers, infer_body, request, until

CALLERS = 8
REQUESTS_EACH = 150
BEFORE_THE_EVENT = 100


def load(gateway: Server, event: Callable[[], object]) -> list[Answer]:
    """Ask for distinct inputs from several connections; `event` happens once some have been answered."""
    answered = threading.Semaphore(0)

    def ask(caller: int) -> list[Answer]:
        answers = []
        with gateway.connect() as connection:
            for number in range(REQUESTS_EACH):
                body = infer_body([float(caller), float(number)] + [0.0] * 62)
                answers.append(connection.ask(request(body)))
                answered.release()
        return answers

    with ThreadPoolExecutor(CALLERS) as callers:
        parts = [callers.submit(ask, caller) for caller in range(CALLERS)]
        for _ in range(BEFORE_THE_EVENT):
            assert answered.acquire(timeout=20)
        event()
        return [answer for part in parts for answer in part.result()]


def workers_up(gateway: Server) -> int:
    return int(gateway.get("/health").json["workers_up"])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_request_fails_when_one_of_two_workers_goes(tmp_path: Path, number: signal.Signals) -> None:
    with Servers(tmp_path) as servers:
        gateway, workers = servers.fleet(digits_path(), 2)
        answers = load(gateway, lambda: workers[0].send_signal(number))
        status = workers[0].wait()
        until(lambda: workers_up(gateway) == 1, gateway.log)
        stats = gateway.get("/stats").json
    assert [answer.body for answer in answers if answer.status != 200] == []
    assert len(answers) == CALLERS * REQUESTS_EACH
    assert {answer.json["node_id"] for answer in answers} == {"worker_1", "worker_2"}
    assert answers[-1].json["node_id"] == "worker_2"
    assert status == (-9 if number == signal.SIGKILL else 0)
    assert stats["total_workers"] == 2
    assert [entry["node"] for entry in stats["circuit_breakers"]] == [worker.address for worker in workers]


def test_a_stopped_worker_is_left_within_the_hang_time_out_and_comes_back(tmp_path: Path) -> None:
    with Servers(tmp_path) as servers, ThreadPoolExecutor(24) as callers:
        gateway, workers = servers.fleet(digits_path(), 2)
        workers[0].send_signal(signal.SIGSTOP)
        try:
            answers = list(callers.map(lambda n: gateway.infer([float(n), *[1.0] * 63]), range(24)))
        finally:
            workers[0].send_signal(signal.SIGCONT)
        assert [answer.status for answer in answers] == [200] * 24
        assert {answer.json["node_id"] for answer in answers} == {"worker_2"}
        until(lambda: workers_up(gateway) == 2, gateway.log)


def test_a_gateway_without_workers_answers_503_in_json(tmp_path: Path) -> None:
    with Servers(tmp_path) as servers:
        gateway, (worker,) = servers.fleet(digits_path())
        with gateway.connect() as connection:
            assert connection.ask(request(infer_body([0.0] * 64))).status == 200
            worker.stop(signal.SIGKILL)
            answer = connection.ask(request(infer_body([1.0] * 64), "X-Request-Timeout-Ms: 3000"))
            health = connection.ask(request(path="/health", method="GET"))
    assert answer.status == 503
    assert answer.error
    assert int(answer.headers["retry-after"]) >= 1
    assert health.json["total_workers"] == 1
