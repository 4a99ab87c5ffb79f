"""What a node's statistics say of it at each moment of a call's life."""

from ringserve.core.admission import Admission
from ringserve.core.batcher import Batch
from ringserve.core.node import Node, NodeSettings
from ringserve.core.node_statistics import NodeStatistics
from ringserve.core.signature import Result, ResultLayout
from ringserve.errors import Draining, ModelFailed
from tests.core.calls import Noted, noted

RESULT = Result(ResultLayout(()), b"")


class Rig:
    """A node whose runs last until they are landed."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.node = Node(NodeSettings(name="w", max_batch=4), Admission(4, 1000.0), self.batches.append)

    def ask(self, value: int, now: float) -> Noted:
        call = noted(value, now)
        self.node.submit(call, now)
        return call

    def land(self, now: float) -> None:
        batch = self.batches.pop(0)
        self.node.finished(batch, [RESULT] * len(batch.flights), now)

    def at(self, now: float) -> NodeStatistics:
        seen = self.node.statistics(now)
        assert seen.accepted == seen.answered + seen.failed + seen.cancelled + seen.pending
        return seen


def test_a_call_is_pending_until_it_is_answered_and_its_phases_are_timed() -> None:
    rig = Rig()
    rig.ask(1, 10.0)
    waiting = rig.at(10.25)
    rig.node.flush(10.5)
    running = rig.at(12.0)
    rig.land(13.5)
    done = rig.at(14.0)
    assert (waiting.pending, waiting.queue_depth, waiting.queue_oldest_s, waiting.running) == (1, 1, 0.25, 0)
    assert (running.pending, running.queue_depth, running.running, running.run_oldest_s) == (1, 0, 1, 1.5)
    assert (done.answered, done.pending, done.runs, done.run_slowest_s) == (1, 0, 1, 3.0)
    assert (done.queue.sum, done.run.sum, done.total.sum, done.batch_items.sum) == (0.5, 3.0, 3.5, 1.0)
    assert (done.queue.count, done.run.count, done.total.count, done.batch_items.count) == (1, 1, 1, 1)
    assert done.cuts == {"full": 0, "due": 1, "idle": 0}


def test_hits_and_joins_are_calls_that_wait_in_no_queue() -> None:
    rig = Rig()
    rig.ask(1, 0.0)
    rig.ask(1, 0.0)
    rig.node.flush(0.0)
    assert rig.at(0.0).pending == 2
    rig.land(1.0)
    rig.ask(1, 2.0)
    seen = rig.at(2.0)
    assert (seen.answered, seen.cache.hits, seen.flights.joins) == (3, 1, 1)
    assert (seen.total.count, seen.queue.count) == (3, 1)


def test_those_who_leave_fail_or_are_shed_are_told_apart() -> None:
    rig = Rig()
    calls = [rig.ask(value, 0.0) for value in range(5)]
    rig.node.cancel(calls[0])
    rig.node.flush(0.0)
    rig.node.finished(rig.batches.pop(), ModelFailed("no"), 0.5)
    again = rig.at(2.0)
    rig.node.flush(1.0)
    rig.node.finished(rig.batches.pop(), ModelFailed("no"), 1.0)
    rig.node.fail_all(Draining("bye"))
    seen = rig.at(2.0)
    assert (again.queue_depth, again.queue_oldest_s) == (3, 2.0)
    assert (seen.cancelled, seen.failed, seen.answered, seen.pending) == (1, 4, 0, 0)
    assert seen.admission.shed_full == 1
    assert {name: count for name, count in seen.failures.items() if count} == {
        "QueueFull": 1,
        "ModelFailed": 1,
        "Draining": 2,
    }
    assert seen.total.count == 0
