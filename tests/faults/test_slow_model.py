"""A model whose honest runs outlast the hang time-out is served under every default."""

import threading
from pathlib import Path

import pytest

from tests.faults.crowd import row_of
from tests.integration.servers import Answer, Servers
from tests.support import models

pytestmark = pytest.mark.alone

RUN_S = 5.0


@pytest.mark.timeout(180)
def test_runs_of_five_seconds_are_no_hang(tmp_path: Path) -> None:
    model = models.slow(tmp_path / "slow.onnx", RUN_S)
    with Servers(tmp_path) as servers:
        gateway, _ = servers.fleet(model, 1, "--batching", "off")
        answers: dict[int, Answer] = {}
        askers = [
            threading.Thread(
                target=lambda number=number: answers.update({number: gateway.infer(row_of(number))})
            )
            for number in (1, 2)
        ]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()
        assert {number: answer.status for number, answer in answers.items()} == {1: 200, 2: 200}
        assert all(answer.json["output_data"] == row_of(number) for number, answer in answers.items())
        stats = gateway.get("/stats").json
        (breaker,) = stats["circuit_breakers"]
        assert (breaker["failures"], breaker["state"], stats["moved"]) == (0, "CLOSED", 0)
