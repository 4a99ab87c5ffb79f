"""The majority's model is served, in a draw the one served so far; namesakes are told of."""

import pytest

from ringserve.core.breaker import Breaker
from ringserve.core.router.fleet_model import describe_namesakes, namesakes, served_model
from ringserve.core.router.worker_state import WorkerState
from tests.core.router.rig import hello, spec


def fleet(digests: str) -> list[WorkerState]:
    """One worker a letter; a dash is one without a link."""
    workers = []
    for index, digest in enumerate(digests):
        worker = WorkerState(index, f"w{index}", Breaker(5, 2, 30.0))
        if digest != "-":
            worker.greet(hello(model=spec(digest)), 0.0)
        workers.append(worker)
    return workers


@pytest.mark.parametrize(
    ("digests", "current", "served"),
    [("aab", None, "a"), ("abb", "a", "b"), ("ab", "b", "b"), ("ab", None, "a"), ("-b-", "a", "b")],
)
def test_the_majority_decides_and_a_draw_changes_nothing(
    digests: str, current: str | None, served: str
) -> None:
    model = served_model(fleet(digests), spec(current) if current else None)
    assert model is not None
    assert model.digest == served


def test_without_a_connected_worker_there_is_no_model() -> None:
    assert served_model(fleet("--"), spec("a")) is None


def test_a_worker_that_goes_away_has_no_vote() -> None:
    workers = fleet("aab")
    workers[0].going_away = workers[1].going_away = True
    model = served_model(workers, spec("a"))
    assert model is not None
    assert model.digest == "b"


def test_two_connected_workers_of_one_name_are_told_of() -> None:
    workers = fleet("aa-")
    for worker in workers:
        worker.node_id = "worker_1"
    assert namesakes(workers, workers[1]) == [workers[0]]
    sentence = describe_namesakes(workers[0], workers[1])
    assert "w0 and w1 are both named 'worker_1'" in sentence
    workers[0].node_id = "worker_2"
    assert namesakes(workers, workers[1]) == []
