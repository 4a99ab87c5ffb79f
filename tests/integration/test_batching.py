"""Requests that arrive together share a run of the model."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ringserve.models.digits import digits_path
from tests.integration.servers import Servers, infer_body, request
from tests.support import models


def image(number: int) -> list[float]:
    """An input unlike those of other numbers."""
    return [float(number)] * 64


@pytest.mark.parametrize(
    ("count", "full", "timed_out"), [(8, 1, 0), (3, 0, 1)], ids=["a full batch", "a batch cut by time"]
)
def test_requests_in_one_window_are_one_run(tmp_path: Path, count: int, full: int, timed_out: int) -> None:
    window = ("--batch-policy", "window", "--batch-timeout-ms", "500", "--max-batch", "8")
    with Servers(tmp_path) as servers:
        worker = servers.worker(digits_path(), *window)
        with worker.connect() as connection:
            connection.send(b"".join(request(infer_body(image(n))) for n in range(count)))
            answers = [connection.answer() for _ in range(count)]
        batches = worker.get("/health").json["batch_processor"]
    assert [answer.status for answer in answers] == [200] * count
    assert batches == {
        "total_batches": 1,
        "avg_batch_size": float(count),
        "timeout_batches": timed_out,
        "full_batches": full,
        "idle_batches": 0,
    }


def test_what_waits_for_a_running_model_goes_together_next(tmp_path: Path) -> None:
    slow = models.slow(tmp_path / "slow.onnx", 0.3)
    with Servers(tmp_path) as servers:
        gateway, (worker,) = servers.fleet(slow)
        with ThreadPoolExecutor(12) as callers:
            answers = list(callers.map(lambda n: gateway.infer([n, 0.0, 0.0, 0.0]), range(12)))
        batches = worker.get("/health").json["batch_processor"]
    assert [answer.json["output_data"][0] for answer in answers] == list(range(12))
    assert batches["total_batches"] < 12
    assert batches["total_batches"] * batches["avg_batch_size"] == pytest.approx(12)


def test_callers_of_one_input_share_one_computation(tmp_path: Path) -> None:
    slow = models.slow(tmp_path / "slow.onnx", 0.3)
    with Servers(tmp_path) as servers:
        gateway, (worker,) = servers.fleet(slow)
        with ThreadPoolExecutor(6) as callers:
            answers = list(callers.map(lambda _: gateway.infer([1.0, 2.0, 3.0, 4.0]), range(6)))
        health = worker.get("/health").json
    assert [answer.json["output_data"] for answer in answers] == [[1.0, 2.0, 3.0, 4.0]] * 6
    assert health["batch_processor"]["total_batches"] == 1
    assert health["total_requests"] == 6
