"""How servers end: drained with 0, refused at the start with one line and 2."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ringserve.models.digits import digits_path
from tests.integration.servers import Answer, Servers, infer_body, request
from tests.support import models


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_worker_and_gateway_drain_and_exit_with_0(tmp_path: Path, number: signal.Signals) -> None:
    with Servers(tmp_path) as servers:
        worker = servers.worker(digits_path())
        gateway = servers.gateway([worker])
        assert gateway.infer([0.0] * 64).status == 200
        assert gateway.stop(number) == 0
        assert worker.stop(number) == 0
        assert b"Traceback" not in gateway.log() + worker.log()


@pytest.mark.parametrize("who", ["worker", "gateway"])
def test_accepted_work_is_answered_before_the_end(tmp_path: Path, who: str) -> None:
    with Servers(tmp_path) as servers:
        worker = servers.worker(models.slow(tmp_path / "slow.onnx", 1.0))
        gateway = servers.gateway([worker])
        server = worker if who == "worker" else gateway
        answers: list[Answer] = []
        with server.connect() as connection, server.connect() as probe:
            connection.send(request(infer_body([1.0, 2.0, 3.0, 4.0])))
            # It left before this one, so it has most likely been taken; if not, it is served all the same.
            assert probe.ask(b"GET /model HTTP/1.1\r\nHost: x\r\n\r\n").status == 200
            reader = threading.Thread(target=lambda: answers.append(connection.answer()))
            reader.start()
            server.process.send_signal(signal.SIGTERM)
            reader.join(20)
            status = server.process.wait(10)
    assert [(answer.status, answer.headers.get("connection")) for answer in answers] == [(200, "close")]
    assert status == 0


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
        port = str(worker.port)
        assert port in refusal("worker", port, "worker_2", str(digits_path()))
        assert port in refusal("gateway", "--port", port, worker.address)


def test_a_missing_model_is_one_line_that_names_it(tmp_path: Path) -> None:
    assert "nothing.onnx" in refusal("worker", "0", "w", str(tmp_path / "nothing.onnx"))


@pytest.mark.parametrize("content", [b"", b"no model at all", digits_path().read_bytes()[:3000]])
def test_a_corrupt_model_is_one_line_that_names_it(tmp_path: Path, content: bytes) -> None:
    model = tmp_path / "broken.onnx"
    model.write_bytes(content)
    assert "broken.onnx" in refusal("worker", "0", "w", str(model))


def test_the_same_worker_twice_is_one_line_that_names_it() -> None:
    assert "127.0.0.1:9" in refusal("gateway", "--port", "0", "127.0.0.1:9", "127.0.0.1:9")
