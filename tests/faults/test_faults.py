"""Each fault once, under load: nothing lost, nothing wrong. `make faults` repeats them and prints a table."""

from pathlib import Path

import pytest

from tests.faults import cases
from tests.faults.cases import Case, Outcome
from tests.integration.servers import Servers
from tests.support import models

RUN_S = 0.02
pytestmark = [pytest.mark.alone, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of at least 20 ms, whatever the machine does beside it."""
    return models.slow(tmp_path_factory.mktemp("model") / "slow.onnx", RUN_S)


def strike(case: Case, tmp_path: Path, model: Path) -> Outcome:
    with Servers(tmp_path) as servers:
        outcome = case(servers, model)
    assert outcome.counts, f"the victim had {outcome.in_flight} requests only"
    assert outcome.tally.wrong == 0
    return outcome


@pytest.mark.parametrize(
    "case",
    [cases.kill_worker, cases.hang_worker, cases.stop_worker, cases.cut_link, cases.silence_link],
    ids=lambda case: case.__name__,
)
def test_a_worker_that_fails_costs_no_request(case: Case, tmp_path: Path, model: Path) -> None:
    outcome = strike(case, tmp_path, model)
    assert outcome.tally.faultless(), outcome
    assert outcome.connections_refused == 0


@pytest.mark.parametrize(
    "case", [cases.stop_gateway, cases.stop_up, cases.interrupt_up], ids=lambda case: case.__name__
)
def test_what_is_told_to_stop_answers_what_it_accepted_and_exits_with_0(
    case: Case, tmp_path: Path, model: Path
) -> None:
    outcome = strike(case, tmp_path, model)
    assert outcome.tally.faultless(), outcome
    assert outcome.statuses == (0,)


def test_a_rolling_restart_costs_no_request_and_no_connection(tmp_path: Path, model: Path) -> None:
    outcome = strike(cases.restart_all, tmp_path, model)
    assert outcome.tally.faultless(), outcome
    assert (outcome.connections_refused, outcome.statuses) == (0, (0,))


def test_without_workers_callers_get_503_and_service_returns_by_itself(tmp_path: Path, model: Path) -> None:
    outcome = strike(cases.lose_all_workers, tmp_path, model)
    assert outcome.tally.lost == 0
    assert set(outcome.tally.refused) <= {500, 503}, outcome
    assert outcome.tally.refused[503] > 0
