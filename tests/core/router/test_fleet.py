"""Namesakes are told of, and why nobody can take a request."""

from ringserve.core.breaker import Breaker
from ringserve.core.router.fleet import describe_namesakes, namesakes, no_worker
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


def test_two_connected_workers_of_one_name_are_told_of() -> None:
    workers = fleet("aa-")
    for worker in workers:
        worker.node_id = "worker_1"
    assert namesakes(workers, workers[1]) == [workers[0]]
    sentence = describe_namesakes(workers[0], workers[1])
    assert "w0 and w1 are both named 'worker_1'" in sentence
    workers[0].node_id = "worker_2"
    assert namesakes(workers, workers[1]) == []


def test_when_no_worker_can_take_it_those_with_the_model_are_counted() -> None:
    assert no_worker(fleet("---"), 3, "m", 0.0).message == "no worker is connected (3 configured)"
    assert no_worker(fleet("a"), 1, "m", 0.0).message == "no worker may take it now (1 configured)"
    expected = "no worker is connected (3 configured, 2 with model 'm')"
    assert no_worker(fleet("--"), 3, "m", 0.0).message == expected


def test_when_a_breaker_will_let_one_through_is_when_to_come_again() -> None:
    workers = fleet("a")
    for _ in range(5):
        workers[0].breaker.fail_unpermitted(0.0)
    assert no_worker(workers, 1, "m", 10.0).retry_after_s == 20.0
