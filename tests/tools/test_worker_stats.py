from __future__ import annotations

from ringserve.tools.address import Address
from ringserve.tools.load import NodeCount
from ringserve.tools.worker_stats import (
    HealthCounts,
    WorkerShare,
    health_of,
    shares_between,
    shares_in_answers,
    workers_of,
)
from tests.tools.stand_in import StandIn, Worker, served

HERE, THERE = Address("localhost", 8001), Address("localhost", 8002)


def test_a_share_is_what_was_counted_between_the_two_looks() -> None:
    before = {HERE: HealthCounts("worker_1", 100, 90, 10, 10.0)}
    after = {HERE: HealthCounts("worker_1", 150, 120, 20, 40.0)}
    (share,) = shares_between(before, after)
    assert share == WorkerShare("worker_1", 50, 30, 3.0)
    assert share.hit_rate == 0.6


def test_a_worker_started_anew_in_between_counts_from_nothing() -> None:
    before = {HERE: HealthCounts("worker_1", 100, 90, 10, 10.0)}
    after = {HERE: HealthCounts("worker_1", 7, 0, 0, 0.0), THERE: HealthCounts("worker_2", 0, 0, 0, 0.0)}
    assert shares_between(before, after) == [
        WorkerShare("worker_1", 7, 0, None),
        WorkerShare("worker_2", 0, 0, None),
    ]
    assert shares_between({}, {}) == []


def test_the_answers_tell_shares_in_the_order_of_names() -> None:
    nodes = {"worker_2": NodeCount(2, 1), "worker_1": NodeCount(3, 3)}
    assert shares_in_answers(nodes) == [
        WorkerShare("worker_1", 3, 3, None),
        WorkerShare("worker_2", 2, 1, None),
    ]


def test_only_workers_that_answer_as_workers_are_counted() -> None:
    with served(Worker(requests=5)) as worker, served(StandIn()) as other:
        addresses = [Address("127.0.0.1", port) for port in (worker.port, other.port, 1)]
        assert health_of(addresses, 5) == {addresses[0]: HealthCounts("worker_1", 5, 0, 5, 5.0)}


def test_the_loopback_of_another_machine_is_not_taken_for_ours() -> None:
    stats: dict[str, object] = {
        "circuit_breakers": [{"node": "localhost:8001"}, {"node": "10.0.0.7:8001"}, {"node": "?"}, {}]
    }
    assert workers_of(stats, Address("10.0.0.6", 8000)) == [Address("10.0.0.7", 8001)]
    assert HERE in workers_of(stats, Address("127.0.0.1", 8000))
