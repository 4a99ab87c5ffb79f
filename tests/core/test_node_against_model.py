"""A node under any order of events, held against what a list of its calls says must be true."""

from __future__ import annotations

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ringserve.core.admission import Admission
from ringserve.core.batcher import Batch
from ringserve.core.node import Node, NodeSettings
from ringserve.core.signature import Result, ResultLayout, Signature, TensorLayout
from ringserve.core.single_flight import Flight
from ringserve.core.tensor import DType
from ringserve.errors import (
    DeadlinePassed,
    Draining,
    ModelFailed,
    QueueFull,
    ServeError,
    TimeTooShort,
    WaitTooLong,
)
from tests.core.calls import Noted, noted

POISON = (3, 11, 13)
SWEEP_S = 0.020001
QUEUE_MAX = 6
ROWS = (1,) * 10 + (2, 2, 3, 7, 7, 12)
"""Rows of the request that each value stands for."""

SIGNATURES = {rows: Signature("m", "", (TensorLayout("x", DType.UINT8, (rows, 2)),)) for rows in range(1, 13)}
values = st.integers(0, 15)


def payload_of(value: int) -> bytes:
    """Each row is the value and the row's number."""
    return b"".join(bytes([value, row]) for row in range(ROWS[value]))


def answer_of(payload: bytes) -> bytes:
    """What the model makes of any rows, each apart from the others."""
    return bytes(byte + 100 for byte in payload)


def is_poison(payload: bytes) -> bool:
    """Whether one of these rows is the one that fails: in the middle of its request."""
    rows = zip(payload[::2], payload[1::2], strict=True)
    return any(value in POISON and row == ROWS[value] // 2 for value, row in rows)


def result_of(flight: Flight) -> Result:
    layout = ResultLayout((TensorLayout("y", DType.UINT8, (flight.rows, 2)),))
    return Result(layout, answer_of(flight.payload))


class NodeMachine(RuleBasedStateMachine):
    """The node, the clock it is told, and every call ever made of it."""

    @initialize(
        cacheable=st.booleans(),
        capacity=st.sampled_from([0, 2, 1000]),
        slots=st.integers(1, 3),
        max_batch=st.integers(1, 5),
        window=st.booleans(),
    )
    def begin(self, cacheable: bool, capacity: int, slots: int, max_batch: int, window: bool) -> None:
        self.shape = NodeSettings(
            name="w",
            cacheable=cacheable,
            cache_capacity=capacity,
            slots=slots,
            max_batch=max_batch,
            window=window,
        )
        self.node = Node(self.shape, Admission(QUEUE_MAX, 1e6), self.start)
        self.now = 100.0
        self.calls: list[tuple[int, Noted]] = []
        self.cancelled: set[int] = set()
        self.batches: list[Batch] = []
        self.landed: Counter[int] = Counter()

    def start(self, batch: Batch) -> None:
        """Look at a run as the engine sees it begin."""
        assert batch.flights
        assert {flight.signature.group for flight in batch.flights} == {batch.signature.group}
        shapes = batch.signatures() or [batch.signature] * len(batch.flights)
        assert [shape.encoded for shape in shapes] == [one.signature.encoded for one in batch.flights]
        assert all(len(flight.payload) == 2 * flight.rows for flight in batch.flights)
        assert batch.rows == sum(flight.rows for flight in batch.flights)
        assert batch.rows <= self.shape.max_batch
        waiting = [call for flight in batch.flights for call in flight.calls]
        assert all(flight.calls for flight in batch.flights)
        assert all(call.deadline > self.now for call in waiting)
        self.batches.append(batch)
        assert len(self.batches) <= self.shape.slots
        if self.shape.cacheable:
            wanted = [flight for one in self.batches for flight in one.flights if flight.calls]
            assert max(Counter(flight.payload for flight in wanted).values()) == 1
            if self.shape.cache_capacity == 1000:
                assert not any(self.landed[flight.payload[0]] for flight in batch.flights)

    def open_calls(self) -> list[int]:
        """Find the calls that are owed an outcome."""
        return [
            position
            for position, (_value, call) in enumerate(self.calls)
            if not call.outcomes and position not in self.cancelled
        ]

    def land(self, number: int) -> None:
        batch = self.batches.pop(number % len(self.batches))
        if any(is_poison(flight.payload) for flight in batch.flights):
            self.node.finished(batch, ModelFailed("poison"), self.now)
        else:
            values = [flight.payload[0] for flight in batch.flights]
            self.node.finished(batch, [result_of(flight) for flight in batch.flights], self.now)
            for value, flight in zip(values, batch.flights, strict=True):
                self.landed[value] += flight.whole is None or not flight.whole.missing

    @rule(value=values, left_s=st.sampled_from([-1.0, 0.0, 0.01, 0.5, 1e6]))
    def submit(self, value: int, left_s: float) -> None:
        shape = SIGNATURES[ROWS[value]]
        call = noted(value, self.now, self.now + left_s, shape, payload_of(value))
        before = self.node.cache.hits
        self.node.submit(call, self.now)
        self.calls.append((value, call))
        if call.outcomes and not isinstance(call.outcomes[0], ServeError):
            assert call.outcomes[0][1]
            assert self.node.cache.hits == before + 1
            assert self.landed[value]
        elif self.shape.cacheable and self.shape.cache_capacity == 1000:
            assert not self.landed[value]

    @rule()
    def flush(self) -> None:
        self.node.flush(self.now)

    @rule(passed_s=st.sampled_from([0.001, 0.02, 0.3]))
    def tick(self, passed_s: float) -> None:
        self.now += passed_s
        self.node.tick(self.now)
        waiting = [self.calls[position][1] for position in self.open_calls()]
        assert all(max(call.deadline, call.received_at) > self.now - SWEEP_S for call in waiting)

    @rule()
    def tick_when_told(self) -> None:
        """What the node asked to be woken for is done then, so it never asks for that moment again."""
        self.node.flush(self.now)
        wake = self.node.next_wake()
        if wake is not None:
            self.now = max(self.now, wake)
            self.node.tick(self.now)
            again = self.node.next_wake()
            assert again is None or again > self.now

    @precondition(lambda self: self.batches)
    @rule(number=st.integers(0, 2), flush=st.booleans())
    def finish(self, number: int, flush: bool) -> None:
        self.land(number)
        if flush:
            self.node.flush(self.now)

    @precondition(lambda self: self.calls)
    @rule(number=st.integers(0, 1000))
    def cancel(self, number: int) -> None:
        position = number % len(self.calls)
        if not self.calls[position][1].outcomes:
            self.cancelled.add(position)
        self.node.cancel(self.calls[position][1])

    @rule()
    def fail_all(self) -> None:
        self.node.fail_all(Draining("going"))
        assert self.open_calls() == []

    @invariant()
    def each_call_has_at_most_one_outcome_and_the_right_one(self) -> None:
        for position, (value, call) in enumerate(self.calls):
            assert len(call.outcomes) <= (position not in self.cancelled)
            for outcome in call.outcomes:
                if isinstance(outcome, ModelFailed):
                    assert value in POISON
                elif isinstance(outcome, DeadlinePassed):
                    assert call.deadline <= self.now
                elif not isinstance(outcome, QueueFull | WaitTooLong | TimeTooShort | Draining):
                    assert not isinstance(outcome, ServeError)
                    assert outcome[0].payload == answer_of(payload_of(value))
                    assert outcome[0].layout.outputs[0].shape == (ROWS[value], 2)

    @invariant()
    def the_books_balance(self) -> None:
        assert self.node.accepted == len(self.calls)
        assert self.node.pending == len(self.open_calls())
        assert self.node.depth >= 0
        if not self.shape.cacheable:
            assert (self.node.joins, len(self.node.cache)) == (0, 0)

    def teardown(self) -> None:
        """Whatever happened: once runs finish and time goes on, nobody is left without an outcome."""
        self.node.flush(self.now)
        for _ in range(2 * sum(ROWS[value] for value, _call in self.calls) + 1):
            if self.batches:
                self.land(0)
            self.now += 1.0
            self.node.tick(self.now)
        assert (self.open_calls(), self.batches) == ([], [])
        assert self.node.depth == 0
        abandoned = [flight for queue in self.node._batcher._groups.values() for flight in queue]
        assert not any(flight.calls for flight in abandoned)
        assert len(abandoned) == self.node._batcher._abandoned
        assert len(self.node._flights) == 0
        assert self.node.oldest_run_s(self.now) == 0.0


TestNodeAgainstModel = NodeMachine.TestCase
TestNodeAgainstModel.settings = settings(max_examples=100, stateful_step_count=30)
