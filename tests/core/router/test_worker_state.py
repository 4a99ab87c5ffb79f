"""What the router knows of a worker: credit, its link in words, and how long a run may last."""

import pytest

from ringserve.core.breaker import Breaker
from ringserve.core.router.worker_state import WorkerState
from tests.core.router.rig import Caller, hello


@pytest.fixture
def worker() -> WorkerState:
    return WorkerState(0, "w0", Breaker(5, 2, 30.0))


def test_before_a_greeting_there_is_no_credit(worker: WorkerState) -> None:
    assert not worker.has_credit_for(Caller(1, 1, 0.0, 1.0))


def test_credit_is_kept_in_items_and_in_bytes(worker: WorkerState) -> None:
    worker.greet(hello(credit_items=4, credit_bytes=100), 0.0)
    worker.items_out, worker.bytes_out = 3, 12
    assert worker.has_credit_for(Caller(1, 1, 0.0, 1.0))
    assert not worker.has_credit_for(Caller(1, 2, 0.0, 1.0))
    worker.items_out, worker.bytes_out = 1, 97
    assert not worker.has_credit_for(Caller(1, 1, 0.0, 1.0))


def test_a_call_larger_than_all_credit_may_go_alone(worker: WorkerState) -> None:
    worker.greet(hello(credit_items=4, credit_bytes=8), 0.0)
    assert worker.has_credit_for(Caller(1, 50, 0.0, 1.0))


def test_the_link_is_down_up_or_going_away(worker: WorkerState) -> None:
    states = [worker.link_state]
    worker.greet(hello(), 0.0)
    states.append(worker.link_state)
    worker.going_away = True
    states.append(worker.link_state)
    assert states == ["down", "up", "going away"]


def test_a_greeting_forgets_what_was_said_of_the_process_before(worker: WorkerState) -> None:
    worker.going_away = worker.gone = worker.hung = True
    worker.depth = 9
    worker.greet(hello("second"), 5.0)
    assert (worker.going_away, worker.gone, worker.hung, worker.depth) == (False, False, False, 0)
    assert (worker.incarnation, worker.heard_at) == ("second", 5.0)


@pytest.mark.parametrize(
    ("own_s", "slowest_s", "limit_s"), [(0.0, 0.01, 2.0), (0.0, 5.0, 50.0), (3.0, 5.0, 3.0), (9.0, 0.01, 2.0)]
)
def test_a_run_may_last_ten_times_the_slowest_but_no_longer_than_the_worker_allows(
    worker: WorkerState, own_s: float, slowest_s: float, limit_s: float
) -> None:
    worker.greet(hello(run_timeout_s=own_s), 0.0)
    assert worker.run_limit_s(slowest_s, 2.0) == limit_s
