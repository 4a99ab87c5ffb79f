"""How servers end: drained with 0, cut short with 1, refused at the start with one line and 2."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ringserve.models.digits import digits_path
from tests.integration.servers import Servers, until
from tests.support import models

WHO = pytest.mark.parametrize("who", ["worker", "gateway"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_worker_and_gateway_drain_and_exit_with_0(tmp_path: Path, number: signal.Signals) -> None:
    with Servers(tmp_path) as servers:
        gateway, (worker,) = servers.fleet(digits_path())
        assert gateway.infer([0.0] * 64).status == 200
        assert gateway.stop(number) == 0
        assert worker.stop(number) == 0
        assert "Traceback" not in gateway.log() + worker.log()


@WHO
def test_accepted_work_is_answered_before_the_end(tmp_path: Path, who: str) -> None:
    model = models.slow(tmp_path / "slow.onnx", 1.0)
    with Servers(tmp_path) as servers, ThreadPoolExecutor(1) as caller:
        gateway, (worker,) = servers.fleet(model, 1, "--batching", "off")
        server = worker if who == "worker" else gateway
        waiting = caller.submit(server.infer, [1.0, 2.0, 3.0, 4.0])
        until(lambda: bool(worker.get("/health").json["total_requests"] == 1), worker.log)
        assert server.stop() == 0
        answer = waiting.result()
    assert (answer.status, answer.headers["connection"]) == (200, "close")


@WHO
def test_a_drain_that_takes_too_long_answers_503_and_exits_with_1(tmp_path: Path, who: str) -> None:
    flags, model = ("--drain-timeout-s", "0.5"), models.slow(tmp_path / "slow.onnx", 3.0)
    with Servers(tmp_path) as servers, ThreadPoolExecutor(1) as caller:
        worker = servers.worker(model, "--batching", "off", *(flags if who == "worker" else ()))
        server = servers.gateway([worker], *flags) if who == "gateway" else worker
        waiting = caller.submit(server.infer, [1.0, 2.0, 3.0, 4.0])
        until(lambda: bool(worker.get("/health").json["total_requests"] == 1), worker.log)
        assert server.stop() == 1
        answer = waiting.result()
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.error


def test_during_the_grace_of_a_drain_readiness_is_503_and_everything_is_served(tmp_path: Path) -> None:
    with Servers(tmp_path) as servers:
        worker = servers.worker(digits_path(), "--drain-grace-s", "2")
        worker.send_signal(signal.SIGTERM)
        until(lambda: worker.get("/health").status == 503, worker.log)
        assert worker.infer([1.0] * 64).status == 200
        assert worker.wait() == 0


def test_a_worker_that_still_loads_says_503_and_can_be_stopped(tmp_path: Path) -> None:
    model = models.slow(tmp_path / "slow.onnx", 2.0)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with Servers(tmp_path) as servers:
        server = servers.start("worker", str(port), "w", str(model))
        server.port = port
        until(lambda: accepts(port) or server.ended, server.log)
        health = server.get("/health")
        answer = server.infer([1.0])
        assert server.stop() == 0
        assert server.log() == ""
    assert (health.status, health.json["state"], health.json["total_requests"]) == (503, "starting", 0)
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert "loading" in answer.error


def accepts(port: int) -> bool:
    """Whether somebody listens."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def refusal(*arguments: str) -> str:
    """The one line of a start that is refused with status 2."""
    command = [sys.executable, "-m", "ringserve", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=40, check=False)
    assert ended.returncode == 2, ended.stderr
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1, ended.stderr
    return ended.stderr


def test_a_taken_port_is_one_line_that_names_it(tmp_path: Path) -> None:
    with Servers(tmp_path) as servers:
        worker = servers.worker(digits_path())
        taken = f"port {worker.port} on 127.0.0.1 is taken"
        assert taken in refusal("worker", str(worker.port), "worker_2", str(digits_path()))
        assert taken in refusal("gateway", "--port", str(worker.port), worker.address)


def test_a_missing_model_is_one_line_that_names_it(tmp_path: Path) -> None:
    assert "nothing.onnx" in refusal("worker", "0", "w", str(tmp_path / "nothing.onnx"))


@pytest.mark.parametrize("content", [b"", b"no model at all", digits_path().read_bytes()[:3000]])
def test_a_corrupt_model_is_one_line_that_names_it(tmp_path: Path, content: bytes) -> None:
    model = tmp_path / "broken.onnx"
    model.write_bytes(content)
    assert "broken.onnx" in refusal("worker", "0", "w", str(model))


def test_an_unknown_provider_is_one_line_that_names_it() -> None:
    assert "abacus" in refusal("worker", "0", "w", str(digits_path()), "--provider", "abacus")


def test_the_same_worker_twice_is_one_line_that_names_it() -> None:
    assert "127.0.0.1:9" in refusal("gateway", "--port", "0", "127.0.0.1:9", "127.0.0.1:9")


def test_a_missing_library_of_operators_is_one_line_that_names_it() -> None:
    said = refusal("worker", "0", "w", str(digits_path()), "--custom-ops", "/nowhere/operators.so")
    assert "--custom-ops: there is no library /nowhere/operators.so" in said
