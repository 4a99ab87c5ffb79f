"""Models that fail on some inputs and queues that are full: over real sockets."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.integration.servers import Answer, Server, Servers
from tests.support import models


def ask_together(server: Server, inputs: list[list[float]]) -> list[Answer]:
    """Ask from as many callers as there are inputs."""
    with ThreadPoolExecutor(len(inputs)) as callers:
        return list(callers.map(server.infer, inputs))


def test_a_model_that_fails_on_one_input_answers_the_others_and_hurts_no_breaker(tmp_path: Path) -> None:
    model = models.failing_on_value(tmp_path / "failing.onnx")
    window = ("--batch-policy", "window", "--batch-timeout-ms", "200")
    rows = [[value, 1.0, 1.0, 1.0] for value in (1.0, models.FAILING_VALUE, 3.0, 4.0)]
    with Servers(tmp_path) as servers:
        gateway, (worker,) = servers.fleet(model, 1, *window)
        for _ in range(2):  # a failure is not remembered, an answer is
            answers = ask_together(gateway, rows)
            assert [answer.status for answer in answers] == [200, 500, 200, 200]
            assert answers[0].json["output_data"] == [2 * value for value in rows[0]]
            assert answers[1].error
        assert worker.get("/health").status == 200
        (breaker,) = gateway.get("/stats").json["circuit_breakers"]
    assert (breaker["state"], breaker["failures"]) == ("CLOSED", 0)


def test_an_answer_that_json_cannot_carry_is_500_and_points_to_binary(tmp_path: Path) -> None:
    with Servers(tmp_path) as servers:
        gateway, workers = servers.fleet(models.nan_output(tmp_path / "nan.onnx"))
        for server in (gateway, *workers):
            answer = server.infer([-1.0, 1.0, 1.0, 1.0])
            assert answer.status == 500
            assert "binary" in answer.error
            assert server.infer([1.0] * 4).status == 200


def test_numbers_that_bytes_cannot_hold_are_refused_and_whole_floats_taken(tmp_path: Path) -> None:
    with Servers(tmp_path) as servers:
        gateway, _workers = servers.fleet(models.uint8_input(tmp_path / "bytes.onnx"))
        assert gateway.infer([1.0, 2, 255, 0]).status == 200
        for wrong in (300, 1.5, -1):
            answer = gateway.infer([wrong, 1, 1, 1])
            assert answer.status == 400
            assert "UINT8" in answer.error


def test_a_model_of_two_inputs_points_to_v2(tmp_path: Path) -> None:
    with Servers(tmp_path) as servers:
        gateway, _workers = servers.fleet(models.two_inputs(tmp_path / "two.onnx"))
        answer = gateway.infer([1.0])
    assert answer.status == 400
    assert "/v2" in answer.error


def test_a_full_queue_is_429_with_retry_after_and_what_was_accepted_is_answered(tmp_path: Path) -> None:
    model = models.slow(tmp_path / "slow.onnx", 0.3)
    with Servers(tmp_path) as servers:
        gateway, _workers = servers.fleet(model, 1, "--batching", "off", "--max-queue", "2")
        answers = ask_together(gateway, [[float(number), 0.5, 0.5, 0.5] for number in range(12)])
        statuses = [answer.status for answer in answers]
        assert set(statuses) == {200, 429}
        assert statuses.count(200) >= 2  # and one more where the first had begun when the others came
        refused = [answer for answer in answers if answer.status == 429]
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
        assert gateway.infer([0.0, 0.5, 0.5, 0.5]).status == 200
