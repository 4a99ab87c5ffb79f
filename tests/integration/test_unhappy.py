"""Models that fail, queues that are full, workers that stop, drains that take too long: over real sockets."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.processes import Server, fleet
from tests.support import models

Reply = tuple[int, dict[str, object], http.client.HTTPResponse]


def ask(server: Server, data: list[float], **headers: str) -> Reply:
    connection = server.connect()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("POST", "/infer", json.dumps({"input_data": data}), named)
    answer = connection.getresponse()
    page = json.loads(answer.read())
    connection.close()
    return answer.status, page, answer


class Crowd:
    """Callers at the same time, each with an input of its own."""

    def __init__(self, server: Server, inputs: list[list[float]]) -> None:
        self.replies: list[Reply | None] = [None] * len(inputs)
        self._server = server
        self._threads = [
            threading.Thread(target=self._ask, args=(place, data)) for place, data in enumerate(inputs)
        ]
        for thread in self._threads:
            thread.start()

    def _ask(self, place: int, data: list[float]) -> None:
        self.replies[place] = ask(self._server, data)

    def join(self) -> list[Reply]:
        for thread in self._threads:
            thread.join()
        assert None not in self.replies
        return [reply for reply in self.replies if reply is not None]


def wait_until_accepted(server: Server, count: int) -> None:
    until = time.monotonic() + 20
    while server.get("/health")[1]["total_requests"] != count:
        assert time.monotonic() < until
        time.sleep(0.01)


@contextmanager
def slow_fleet(tmp_path: Path, seconds: float, *flags: str) -> Iterator[tuple[Server, Server]]:
    model = models.slow(tmp_path / "slow.onnx", seconds)
    with fleet(model, 1, "--batching", "off", *flags) as (gateway, workers):
        yield gateway, workers[0]


def inputs_of(gateway: Server, count: int) -> list[list[float]]:
    (described,) = gateway.get("/model")[1]["inputs"]  # type: ignore[misc]
    size = max(described["shape"][-1], 1)
    return [[float(number), *[0.5] * (size - 1)] for number in range(count)]


def test_a_model_that_fails_on_one_input_answers_the_others_and_hurts_no_breaker(tmp_path: Path) -> None:
    model = models.failing_on_value(tmp_path / "failing.onnx")
    with fleet(model, 1, "--batch-policy", "window", "--batch-timeout-ms", "200") as (gateway, workers):
        size = gateway.get("/model")[1]["inputs"][0]["shape"][-1]  # type: ignore[index]
        rows = [[value, *[1.0] * (size - 1)] for value in (1.0, models.FAILING_VALUE, 3.0, 4.0)]
        for _ in range(2):  # a failure is not remembered, an answer is
            replies = Crowd(gateway, rows).join()
            assert [status for status, _page, _answer in replies] == [200, 500, 200, 200]
            assert replies[0][1]["output_data"] == [2 * value for value in rows[0]]
            assert "error" in replies[1][1]
        assert workers[0].get("/health")[0] == 200
        (breaker,) = gateway.get("/stats")[1]["circuit_breakers"]  # type: ignore[misc]
        assert (breaker["state"], breaker["failures"]) == ("CLOSED", 0)


def test_an_answer_that_json_cannot_carry_is_500_and_points_to_binary(tmp_path: Path) -> None:
    with fleet(models.nan_output(tmp_path / "nan.onnx")) as (gateway, workers):
        for server in (gateway, *workers):
            status, page, _answer = ask(server, [-1.0, 1.0, 1.0, 1.0])
            assert status == 500
            assert "binary" in str(page["error"])
            assert ask(server, [1.0] * 4)[0] == 200


def test_numbers_that_bytes_cannot_hold_are_refused_and_whole_floats_taken(tmp_path: Path) -> None:
    with fleet(models.uint8_input(tmp_path / "bytes.onnx")) as (gateway, _workers):
        assert ask(gateway, [1.0, 2, 255, 0])[0] == 200
        for wrong in (300, 1.5, -1):
            status, page, _answer = ask(gateway, [wrong, 1, 1, 1])
            assert status == 400
            assert "UINT8" in str(page["error"])


def test_a_model_of_two_inputs_points_to_v2(tmp_path: Path) -> None:
    with fleet(models.two_inputs(tmp_path / "two.onnx")) as (gateway, _workers):
        status, page, _answer = ask(gateway, [1.0])
        assert status == 400
        assert "/v2" in str(page["error"])


def test_a_full_queue_is_429_with_retry_after_and_what_was_accepted_is_answered(tmp_path: Path) -> None:
    with slow_fleet(tmp_path, 0.3, "--max-queue", "2") as (gateway, _worker):
        replies = Crowd(gateway, inputs_of(gateway, 12)).join()
        statuses = [status for status, _page, _answer in replies]
        assert set(statuses) == {200, 429}
        assert statuses.count(200) >= 3
        refused = [answer for status, _page, answer in replies if status == 429]
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
        assert ask(gateway, inputs_of(gateway, 1)[0])[0] == 200


def test_a_stopped_worker_is_left_within_the_hang_time_out_and_comes_back(tmp_path: Path) -> None:
    model = models.mlp(tmp_path / "mlp.onnx", (4, 8, 2))
    with fleet(model, 2) as (gateway, workers):
        os.kill(workers[0].process.pid, signal.SIGSTOP)
        try:
            replies = Crowd(gateway, [[float(number), 1.0, 1.0, 1.0] for number in range(24)]).join()
        finally:
            os.kill(workers[0].process.pid, signal.SIGCONT)
        assert [status for status, _page, _answer in replies] == [200] * 24
        assert {page["node_id"] for _status, page, _answer in replies} == {"worker_2"}
        until = time.monotonic() + 20
        while gateway.get("/health")[1]["workers_up"] != 2:
            assert time.monotonic() < until
            time.sleep(0.05)


def test_during_the_grace_of_a_drain_readiness_is_503_and_everything_is_served(tmp_path: Path) -> None:
    model = models.mlp(tmp_path / "mlp.onnx", (4, 8, 2))
    with fleet(model, 1, "--drain-grace-s", "2") as (_gateway, workers):
        worker = workers[0]
        worker.process.send_signal(signal.SIGTERM)
        until = time.monotonic() + 1.5
        while worker.get("/health")[0] != 503:
            assert time.monotonic() < until
        assert ask(worker, [1.0] * 4)[0] == 200
        assert worker.wait() == 0


@pytest.mark.parametrize("role", ["worker", "gateway"])
def test_a_drain_that_takes_too_long_answers_503_and_exits_with_1(tmp_path: Path, role: str) -> None:
    model = models.slow(tmp_path / "slow.onnx", 3.0)
    flags = ["--drain-timeout-s", "0.5"]
    with fleet(model, 1, "--batching", "off", *(flags if role == "worker" else [])) as (gateway, workers):
        server = workers[0]
        if role == "gateway":
            server = Server(["gateway", workers[0].address, "--port", "0", *flags]).wait_ready()
        crowd = Crowd(server, inputs_of(gateway, 1))
        wait_until_accepted(workers[0], 1)
        assert server.end() == 1
        ((status, page, answer),) = crowd.join()
        assert (status, answer.headers["retry-after"]) == (503, "1")
        assert "error" in page


def test_a_worker_that_still_loads_says_503_and_can_be_stopped(tmp_path: Path) -> None:
    model = models.slow(tmp_path / "slow.onnx", 2.0)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Server(["worker", str(port), "w", str(model)])
    server.host, server.port = "127.0.0.1", port
    until = time.monotonic() + 20
    while True:
        try:
            status, page = server.get("/health")
            break
        except ConnectionRefusedError:
            assert time.monotonic() < until
            time.sleep(0.05)
    assert (status, page["state"], page["total_requests"]) == (503, "starting", 0)
    status, page, answer = ask(server, [1.0])
    assert (status, answer.headers["retry-after"]) == (503, "1")
    assert "loading" in str(page["error"])
    assert server.end() == 0
    assert server.lines == []
