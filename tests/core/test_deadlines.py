"""A sweep finds every row that is late, soon enough, and is not called for more often than it must."""

import math
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ringserve.core.deadlines import DeadlineSweep

GRANULARITY_S = 0.25


@dataclass(frozen=True)
class Row:
    deadline: float
    name: str = ""


# Quarters of quarters: sums are exact, so that times can be compared for equality.
times = st.integers(0, 200).map(lambda number: number / 16)
deadlines = times | st.just(math.inf)


@given(st.lists(deadlines), times)
def test_a_sweep_returns_the_late_rows_in_order_and_looks_ahead_to_the_rest(
    given: list[float], now: float
) -> None:
    rows = [Row(deadline, str(number)) for number, deadline in enumerate(given)]
    sweep = DeadlineSweep(GRANULARITY_S)
    assert sweep.sweep(iter(rows), now) == [row for row in rows if row.deadline <= now]
    rest = [row.deadline for row in rows if row.deadline > now]
    assert sweep.earliest == max(min(rest, default=math.inf), now + GRANULARITY_S)


class SweepMachine(RuleBasedStateMachine):
    """A table used as its owner uses it: rows come, leave, and are swept whenever a sweep is due."""

    @initialize()
    def start(self) -> None:
        self.now = 0.0
        self.rows: list[Row] = []
        self.sweep = DeadlineSweep(GRANULARITY_S)
        self.last_sweep = -math.inf

    @rule(after=deadlines)
    def row_comes(self, after: float) -> None:
        row = Row(self.now + after)
        self.rows.append(row)
        if row.deadline < self.sweep.earliest:
            self.sweep.note(row.deadline)

    @rule(data=st.data())
    @precondition(lambda self: self.rows)
    def row_leaves(self, data: st.DataObject) -> None:
        self.rows.remove(data.draw(st.sampled_from(self.rows)))

    @rule(seconds=times)
    def pass_time(self, seconds: float) -> None:
        # As one timer does, armed anew after each sweep.
        until = self.now + seconds
        while (wake := self.sweep.next_wake()) is not None and wake <= until:
            self.now = max(self.now, wake)
            self.tick()
        self.now = until
        self.tick()

    def tick(self) -> None:
        if not self.sweep.due(self.now):
            return
        late = self.sweep.sweep(self.rows, self.now)
        assert late == [row for row in self.rows if row.deadline <= self.now]
        assert self.now - self.last_sweep >= GRANULARITY_S
        self.last_sweep = self.now
        self.rows = [row for row in self.rows if row.deadline > self.now]

    @invariant()
    def no_row_is_later_than_the_granularity(self) -> None:
        assert all(row.deadline + GRANULARITY_S > self.now for row in self.rows)

    @invariant()
    def each_row_is_watched(self) -> None:
        soonest = min((row.deadline for row in self.rows), default=math.inf)
        assert self.sweep.earliest <= max(soonest, self.last_sweep + GRANULARITY_S)

    @invariant()
    def without_deadlines_nothing_wakes_it_for_ever(self) -> None:
        wake = self.sweep.next_wake()
        assert (wake is None) == (self.sweep.earliest == math.inf)
        assert wake is None or wake == self.sweep.earliest


TestSweepMachine = SweepMachine.TestCase
TestSweepMachine.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


def test_an_empty_table_never_wakes() -> None:
    sweep = DeadlineSweep()
    assert sweep.next_wake() is None
    assert not sweep.due(1e9)
    assert sweep.sweep([], 1e9) == []
    assert sweep.next_wake() is None


def test_a_deadline_is_due_at_its_very_time() -> None:
    sweep = DeadlineSweep()
    sweep.note(5.0)
    assert sweep.next_wake() == 5.0
    assert not sweep.due(4.999)
    assert sweep.due(5.0)
    assert sweep.sweep([Row(5.0)], 5.0) == [Row(5.0)]


def test_a_later_deadline_does_not_hide_an_earlier_one() -> None:
    sweep = DeadlineSweep()
    sweep.note(5.0)
    sweep.note(9.0)
    assert sweep.next_wake() == 5.0


def test_short_deadlines_do_not_make_it_sweep_without_a_pause() -> None:
    sweep = DeadlineSweep()
    sweep.sweep([], 1.0)
    sweep.note(1.001)
    assert sweep.next_wake() == 1.02


def test_a_row_that_left_costs_one_empty_sweep() -> None:
    sweep = DeadlineSweep()
    sweep.note(2.0)
    assert sweep.sweep([Row(30.0)], 2.0) == []
    assert sweep.next_wake() == 30.0
