"""Large JSON bodies are decoded beside the server: the same answers, and nobody else waits for them."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from benchmarks.processes import children_of, command_of
from ringserve.limits import LARGE_BODY_BYTES
from tests.integration.servers import Server, Servers, infer_body, request, until
from tests.support import models

SIDE = 300


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.two_unknown_dims(tmp_path_factory.mktemp("model") / "image.onnx")


@pytest.fixture(scope="module", params=["worker", "gateway"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, model: Path
) -> Iterator[Server]:
    with Servers(tmp_path_factory.mktemp("servers")) as servers:
        worker = servers.worker(model)
        yield worker if request.param == "worker" else servers.gateway([worker])


def image(seed: int, side: int = SIDE) -> list[list[float]]:
    numbers: list[list[float]] = np.random.default_rng(seed).random((side, side), np.float32).tolist()
    return numbers


def decoders_of(server: Server) -> list[int]:
    return [pid for pid in children_of(server.process.pid) if "decoder_process" in " ".join(command_of(pid))]


def test_a_large_body_is_answered_as_onnxruntime_does(server: Server, model: Path) -> None:
    rows = image(1)
    body = infer_body(rows, request_id="é")
    assert len(body) > LARGE_BODY_BYTES
    answer = server.ask(request(body))
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"x": np.array([rows], np.float32)})
    assert answer.status == 200
    assert answer.json["request_id"] == "é"
    assert answer.json["output_data"] == pytest.approx(expected.ravel().tolist(), rel=1e-6)
    assert server.ask(request(body)).json["cached"] is True


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ((b"[[", b"[[true,"), "ragged"),
        ((b'"input_data"', b'"output_data"'), "input_data is missing"),
        ((b"]}", b"]"), "not JSON"),
    ],
)
def test_a_large_body_that_is_wrong_gets_the_sentence_of_a_small_one(
    server: Server, change: tuple[bytes, bytes], sentence: str
) -> None:
    with server.connect() as connection:
        small, large = (
            connection.ask(request(infer_body(image(2, side)).replace(*change))) for side in (3, SIDE)
        )
    assert (small.status, large.status) == (400, 400)
    assert sentence in small.error
    assert sentence in large.error


def test_a_decoder_that_dies_costs_one_request_and_is_replaced(server: Server) -> None:
    assert server.infer(image(3)).status == 200
    (pid,) = decoders_of(server)
    os.kill(pid, signal.SIGSTOP)
    answers = []
    asking = threading.Thread(target=lambda: answers.append(server.infer(image(4))))
    asking.start()
    time.sleep(0.2)  # the request is on its way; were it not yet, the next line would only come earlier
    os.kill(pid, signal.SIGKILL)
    asking.join()
    assert answers[0].status in (200, 500)
    assert server.infer(image(5)).status == 200
    assert decoders_of(server) != [pid]


def test_a_deadline_counts_while_a_body_is_decoded(server: Server) -> None:
    assert server.infer(image(6)).status == 200
    (pid,) = decoders_of(server)
    os.kill(pid, signal.SIGSTOP)
    assert server.infer(image(7), "X-Request-Timeout-Ms: 300").status == 504
    assert server.infer(image(8)).status == 200
    until(lambda: not Path(f"/proc/{pid}/cmdline").exists() or pid not in decoders_of(server), server.log)


def test_small_requests_do_not_wait_for_a_huge_one(server: Server) -> None:
    huge = b'{"input_data":[' + b"1," * 15_000_000 + b"1]}"
    answers = []
    asking = threading.Thread(target=lambda: answers.append(server.ask(request(huge))))
    began = time.monotonic()
    asking.start()
    worst = 0.0
    with server.connect() as connection:
        while asking.is_alive():
            asked = time.monotonic()
            assert connection.ask(request(infer_body([[1.0, asked], [2.0, 3.0]]))).status == 200
            worst = max(worst, time.monotonic() - asked)
    asking.join()
    assert answers[0].status == 400
    # A share of what the huge one took, since no time by itself holds on every machine.
    assert worst < (time.monotonic() - began) / 2


def test_a_stopped_server_answers_the_large_body_it_is_decoding_and_leaves_no_decoder(
    tmp_path: Path, model: Path
) -> None:
    with Servers(tmp_path) as servers:
        worker = servers.worker(model)
        assert worker.infer(image(9)).status == 200
        (pid,) = decoders_of(worker)
        os.kill(pid, signal.SIGSTOP)
        answers = []
        asking = threading.Thread(target=lambda: answers.append(worker.infer(image(10))))
        asking.start()
        time.sleep(0.3)  # as above
        worker.send_signal(signal.SIGTERM)
        os.kill(pid, signal.SIGCONT)
        asking.join()
        assert answers[0].status == 200
        assert worker.wait() == 0
        until(lambda: not Path(f"/proc/{pid}").exists(), worker.log)
