"""Workers die and drain under load: callers do not notice."""

import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ringserve.models.digits import digits_path
from tests.integration.servers import Answer, Server, Servers, infer_body, request, until

CALLERS = 6
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


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_request_fails_when_one_of_two_workers_goes(tmp_path: Path, number: signal.Signals) -> None:
    with Servers(tmp_path) as servers:
        workers = [servers.worker(digits_path(), name=f"worker_{n}") for n in (1, 2)]
        gateway = servers.gateway(workers)
        until(lambda: gateway.get("/health")["workers_up"] == 2, 10, gateway.log)
        answers = load(gateway, lambda: workers[0].process.send_signal(number))
        status = workers[0].process.wait(10)
        until(lambda: gateway.get("/health")["workers_up"] == 1, 10, gateway.log)
        stats = gateway.get("/stats")
    assert {(answer.status, answer.body if answer.status != 200 else b"") for answer in answers} == {
        (200, b"")
    }
    assert {answer.json["node_id"] for answer in answers} == {"worker_1", "worker_2"}
    assert answers[-1].json["node_id"] == "worker_2"
    assert status == (-9 if number == signal.SIGKILL else 0)
    assert stats["total_workers"] == 2
    assert [entry["node"] for entry in stats["circuit_breakers"]] == [worker.address for worker in workers]


def test_a_gateway_without_workers_answers_503_in_json(tmp_path: Path) -> None:
    with Servers(tmp_path) as servers:
        worker = servers.worker(digits_path())
        gateway = servers.gateway([worker])
        with gateway.connect() as connection:
            assert connection.ask(request(infer_body([0.0] * 64))).status == 200
            worker.stop(signal.SIGKILL)
            answer = connection.ask(request(infer_body([1.0] * 64), "X-Request-Timeout-Ms: 3000"))
            health = connection.ask(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.status == 503
    assert set(answer.json) == {"error"}
    assert int(answer.headers["retry-after"]) >= 1
    assert health.json["total_workers"] == 1
