from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ringserve.core.admission import Admission
from ringserve.core.batcher import Batch, CutReason
from ringserve.core.node import Node, NodeSettings
from ringserve.core.signature import Result, ResultLayout
from ringserve.errors import DeadlinePassed, Draining, ModelFailed, QueueFull, ServeError
from tests.core.calls import Noted, noted

LAYOUT = ResultLayout(())
POISON = 13


class Rig:
    """A node and the batches it started; `land` finishes one."""

    def __init__(self, max_queue: int = 1000, **more: object) -> None:
        self.batches: list[Batch] = []
        settings = NodeSettings(name="w", **more)  # type: ignore[arg-type]
        self.node = Node(settings, Admission(max_queue, 1000.0), self.batches.append)

    def ask(self, value: int, now: float = 0.0, deadline: float = 1e9) -> Noted:
        call = noted(value, now, deadline)
        self.node.submit(call, now)
        return call

    def land(self, now: float = 0.0) -> None:
        """Finish the oldest batch: each answer is its payload twice; POISON fails the whole batch."""
        batch = self.batches.pop(0)
        payloads = [flight.payload for flight in batch.flights]
        outcome: list[Result] | ServeError = [Result(LAYOUT, payload * 2) for payload in payloads]
        if bytes([POISON]) in payloads:
            outcome = ModelFailed("poison")
        self.node.finished(batch, outcome, now)
        self.node.flush(now)

    def settle(self, now: float = 0.0) -> None:
        self.node.flush(now)
        while self.batches:
            self.land(now)


def payload_of(call: Noted) -> bytes:
    (outcome,) = call.outcomes
    assert not isinstance(outcome, ServeError)
    return outcome[0].payload


def test_what_arrives_together_runs_together_and_is_remembered() -> None:
    rig = Rig()
    calls = [rig.ask(value) for value in (1, 2, 3)]
    rig.node.flush(0.0)
    assert [len(batch.flights) for batch in rig.batches] == [3]
    rig.land()
    assert [payload_of(call) for call in calls] == [b"\1\1", b"\2\2", b"\3\3"]
    again = rig.ask(2)
    assert again.outcomes[0] == (rig.node.cache.get(again.key), True)
    assert (rig.node.accepted, rig.node.finished_calls, rig.node.pending) == (4, 4, 0)


def test_equal_requests_share_one_run_and_a_leader_that_leaves_hurts_nobody() -> None:
    rig = Rig()
    leader, joiner = rig.ask(1), rig.ask(1)
    rig.node.cancel(leader)
    rig.node.cancel(leader)
    rig.settle()
    assert leader.outcomes == []
    assert payload_of(joiner) == b"\1\1"
    assert rig.node.joins == 1
    assert rig.node.cache.hits == 0


def test_a_request_nobody_waits_for_is_not_started() -> None:
    rig = Rig()
    rig.node.cancel(rig.ask(1))
    rig.node.flush(0.0)
    assert rig.batches == []
    assert rig.node.depth == 0


def test_a_run_goes_on_when_its_callers_leave_and_may_be_joined_again() -> None:
    rig = Rig()
    call = rig.ask(1)
    rig.node.flush(0.0)
    rig.node.cancel(call)
    late = rig.ask(1)
    rig.land()
    assert payload_of(late) == b"\1\1"


def test_only_the_culprit_of_a_failed_batch_fails() -> None:
    rig = Rig()
    good, bad, other, left = rig.ask(1), rig.ask(POISON), rig.ask(2), rig.ask(3)
    rig.node.flush(0.0)
    rig.node.cancel(left)
    rig.settle()
    assert payload_of(good) == b"\1\1"
    assert payload_of(other) == b"\2\2"
    assert [type(outcome) for outcome in bad.outcomes] == [ModelFailed]
    assert rig.node.waiting_keys() == []
    assert len(rig.node.cache) == 2


def test_an_error_is_never_remembered() -> None:
    rig = Rig()
    rig.ask(POISON)
    rig.settle()
    again = rig.ask(POISON)
    rig.settle()
    assert isinstance(again.outcomes[0], ModelFailed)


def test_a_request_out_of_time_is_not_started_and_gets_its_answer() -> None:
    rig = Rig()
    late, good = rig.ask(1, deadline=1.0), rig.ask(2)
    rig.node.flush(1.5)
    assert [flight.key for flight in rig.batches[0].flights] == [good.key]
    assert isinstance(late.outcomes[0], DeadlinePassed)
    alone = rig.ask(3, now=2.0, deadline=2.1)
    rig.land(2.2)
    assert isinstance(alone.outcomes[0], DeadlinePassed)
    assert rig.batches == []


def test_a_request_that_waits_for_a_run_gets_504_by_the_sweep() -> None:
    rig = Rig()
    running, queued = rig.ask(1, deadline=5.0), rig.ask(2, deadline=1e9)
    rig.node.flush(0.0)
    wake = rig.node.next_wake()
    assert wake is not None
    assert wake <= 5.0
    rig.node.tick(5.1)
    assert isinstance(running.outcomes[0], DeadlinePassed)
    rig.settle()
    assert payload_of(queued) == b"\2\2"


def test_a_full_queue_sheds_and_a_drain_that_ends_fails_the_rest() -> None:
    rig = Rig(max_queue=1)
    waiting, shed = rig.ask(1), rig.ask(2)
    assert isinstance(shed.outcomes[0], QueueFull)
    rig.node.fail_all(Draining("going"))
    assert isinstance(waiting.outcomes[0], Draining)
    assert rig.node.pending == 0


def test_a_model_that_draws_random_numbers_is_neither_cached_nor_joined() -> None:
    rig = Rig(cacheable=False)
    first, second = rig.ask(1), rig.ask(1)
    rig.node.flush(0.0)
    assert len(rig.batches[0].flights) == 2
    rig.land()
    assert len(first.outcomes) == len(second.outcomes) == 1
    assert len(rig.node.cache) == 0
    third = rig.ask(1)
    rig.node.cancel(third)
    assert rig.node.joins == 0


def test_a_window_wakes_when_its_batch_falls_due() -> None:
    rig = Rig(window=True, batch_timeout_s=0.02)
    rig.ask(1, now=1.0)
    rig.node.flush(1.0)
    assert rig.batches == []
    assert rig.node.next_wake() == 1.02
    rig.node.tick(1.02)
    assert rig.node.cuts[CutReason.DUE] == 1
    assert rig.node.oldest_run_s(1.5) > 0.4
    rig.land(2.0)
    assert rig.node.next_wake() is not None
    assert rig.node.oldest_run_s(2.0) == 0.0


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("ask"), st.integers(0, 20)),
            st.tuples(st.just("cancel"), st.integers(0, 50)),
            st.tuples(st.just("flush"), st.just(0)),
            st.tuples(st.just("land"), st.just(0)),
        ),
        max_size=120,
    ),
    st.integers(0, 4),
    st.integers(1, 3),
)
def test_every_accepted_call_gets_exactly_one_right_answer(
    steps: list[tuple[str, int]], capacity: int, slots: int
) -> None:
    rig = Rig(cache_capacity=capacity, slots=slots, max_batch=4)
    calls: list[tuple[int, Noted]] = []
    cancelled = set()
    for step, number in steps:
        if step == "ask":
            calls.append((number, rig.ask(number)))
        elif step == "cancel" and number < len(calls) and not calls[number][1].outcomes:
            rig.node.cancel(calls[number][1])
            cancelled.add(number)
        elif step == "flush":
            rig.node.flush(0.0)
        elif step == "land" and rig.batches:
            rig.land()
        assert rig.node.accepted == rig.node.finished_calls + rig.node.pending
    rig.settle()
    assert rig.node.pending == 0
    assert rig.node.depth == 0
    for position, (value, call) in enumerate(calls):
        if position in cancelled:
            assert call.outcomes == []
        elif value == POISON:
            assert [type(outcome) for outcome in call.outcomes] == [ModelFailed]
        else:
            assert payload_of(call) == bytes([value]) * 2


class Told(Admission):
    """Writes down what it is told of runs."""

    def __init__(self) -> None:
        super().__init__(1000, 1000.0)
        self.told: list[tuple[int, float, bool]] = []

    def observe_run(self, items: int, seconds: float, *, full: bool = True) -> None:
        self.told.append((items, seconds, full))


def test_admission_is_told_the_share_of_a_slot_and_whether_the_run_was_full() -> None:
    rig = Rig(slots=2, max_batch=2)
    rig.node.admission = told = Told()
    for value in range(5):
        rig.ask(value, now=1.0)
    rig.node.flush(1.0)
    while rig.batches:
        rig.land(2.0)
    assert told.told == [(2, 0.5, True), (2, 0.5, True), (1, 0.0, False)]


def test_a_run_that_failed_or_lost_rows_to_the_clock_says_nothing_of_a_full_one() -> None:
    rig = Rig(max_batch=2)
    rig.node.admission = told = Told()
    rig.ask(1, deadline=0.5)
    rig.ask(2)
    rig.node.flush(1.0)
    rig.land(3.0)
    assert told.told == [(1, 2.0, False)]
    rig.ask(POISON, now=3.0)
    rig.ask(3, now=3.0)
    rig.node.flush(3.0)
    rig.land(4.0)
    assert told.told == [(1, 2.0, False)]
    rig.settle(4.0)
    assert told.told[1:] == [(1, 0.0, False)]


def test_a_batch_out_of_time_gives_way_to_the_next_one() -> None:
    rig = Rig(max_batch=1)
    late, good = rig.ask(1, deadline=1.0), rig.ask(2)
    rig.node.flush(1.5)
    assert isinstance(late.outcomes[0], DeadlinePassed)
    assert [flight.key for flight in rig.batches[0].flights] == [good.key]


def test_a_rerun_whose_caller_ran_out_of_time_gives_way_to_the_next_one() -> None:
    rig = Rig()
    late, good = rig.ask(1, deadline=1.0), rig.ask(2)
    rig.ask(POISON)
    rig.node.flush(0.0)
    rig.land(1.5)
    assert isinstance(late.outcomes[0], DeadlinePassed)
    assert [flight.key for flight in rig.batches[0].flights] == [good.key]
    assert not rig.batches[0].full
    rig.settle(1.5)


def test_a_caller_who_wants_no_answer_from_memory_gets_a_computed_one_that_is_remembered() -> None:
    rig = Rig()
    rig.ask(1)
    rig.settle()
    older = rig.node.cache.get(rig.ask(1).key)
    call = noted(1)
    call.fresh = True
    rig.node.submit(call, 0.0)
    assert call.outcomes == []
    hits = rig.node.cache.hits
    rig.settle()
    ((result, cached),) = [outcome for outcome in call.outcomes if not isinstance(outcome, ServeError)]
    assert not cached
    assert rig.node.cache.hits == hits
    assert rig.node.cache.get(call.key) is result is not older


def test_a_caller_who_wants_no_answer_from_memory_may_wait_for_a_run_that_goes_on() -> None:
    rig = Rig()
    first, second = rig.ask(1), noted(1)
    rig.node.flush(0.0)
    second.fresh = True
    rig.node.submit(second, 0.0)
    rig.settle()
    assert sum(rig.node.cuts.values()) == 1
    assert payload_of(first) == payload_of(second)


def test_one_hit_in_so_many_is_computed_again_and_compared_and_is_no_hit() -> None:
    rig = Rig(verify_hits=0.5)
    rig.ask(1)
    rig.settle()
    calls = [rig.ask(1) for _ in range(4)]
    rig.settle()
    assert [outcome[1] for call in calls for outcome in call.outcomes if isinstance(outcome, tuple)] == [
        True,
        False,
        True,
        False,
    ]
    assert rig.node.cache.hits == 2
    statistics = rig.node.statistics(0.0)
    assert statistics.accepted == statistics.answered == 5
    assert (statistics.verification.compared, statistics.verification.differing) == (1, 0)


def test_a_hit_is_not_computed_again_where_the_queue_would_refuse_it() -> None:
    rig = Rig(max_queue=1, verify_hits=1.0)
    rig.ask(1)
    rig.settle()
    rig.ask(2)
    rig.node.flush(0.0)
    rig.ask(3)
    call = rig.ask(1)
    assert call.outcomes[0] == (rig.node.cache.get(call.key), True)
