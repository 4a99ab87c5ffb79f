from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ringserve.core.batcher import Batcher, CutReason
from ringserve.core.signature import Signature, TensorLayout
from ringserve.core.single_flight import Flight, leave
from ringserve.core.tensor import DType
from tests.core.calls import noted

OTHER = Signature("m", "", (TensorLayout("x", DType.UINT8, (1, 2)),))
TWO_ROWS = Signature("m", "", (TensorLayout("x", DType.UINT8, (2, 1)),))


def flight(value: int, now: float = 0.0, signature: Signature | None = None) -> Flight:
    return Flight(noted(value) if signature is None else noted(value, signature=signature), now)


def abandon(batcher: Batcher, gone: Flight) -> None:
    for call in list(gone.calls):
        leave(call)
    batcher.abandon(gone)


def test_a_free_slot_takes_what_is_there_up_to_a_full_batch() -> None:
    batcher = Batcher(2, 0.02, window=False)
    flights = [flight(value) for value in range(3)]
    for one in flights:
        batcher.add(one)
    full = batcher.cut(0.0)
    assert full is not None
    assert (full.flights, full.reason) == (flights[:2], CutReason.FULL)
    rest = batcher.cut(0.0)
    assert rest is not None
    assert (rest.flights, rest.reason) == (flights[2:], CutReason.IDLE)
    assert batcher.cut(0.0) is None
    assert batcher.depth == 0


def test_a_batch_whose_oldest_waited_its_time_is_due() -> None:
    batcher = Batcher(2, 0.02, window=False)
    batcher.add(flight(1, 0.0))
    batch = batcher.cut(0.02)
    assert batch is not None
    assert batch.reason is CutReason.DUE


def test_one_item_a_run_is_never_full() -> None:
    batcher = Batcher(1, 0.02, window=False)
    batcher.add(flight(1))
    batch = batcher.cut(0.0)
    assert batch is not None
    assert batch.reason is CutReason.IDLE


def test_a_window_waits_for_company_up_to_its_time() -> None:
    batcher = Batcher(2, 0.02, window=True)
    assert batcher.next_wake() is None
    batcher.add(flight(1, 1.0))
    assert batcher.cut(1.01) is None
    assert batcher.next_wake() == 1.02
    batcher.add(flight(2, 1.01))
    batch = batcher.cut(1.01)
    assert batch is not None
    assert batch.reason is CutReason.FULL
    batcher.add(flight(3, 2.0))
    due = batcher.cut(2.02)
    assert due is not None
    assert due.reason is CutReason.DUE


def test_different_shapes_never_share_a_run_and_the_oldest_goes_first() -> None:
    batcher = Batcher(8, 0.02, window=False)
    batcher.add(flight(1, 0.2))
    batcher.add(flight(2, 0.1, OTHER))
    batcher.add(flight(3, 0.3))
    first, second = batcher.cut(0.3), batcher.cut(0.3)
    assert first is not None
    assert second is not None
    assert [one.key[-1] for one in first.flights] == [2]
    assert [one.key[-1] for one in second.flights] == [1, 3]


def test_a_flight_larger_than_a_batch_runs_alone_and_none_is_split() -> None:
    batcher = Batcher(1, 0.02, window=False)
    batcher.add(flight(1, signature=TWO_ROWS))
    batcher.add(flight(2, signature=TWO_ROWS))
    batch = batcher.cut(0.0)
    assert batch is not None
    assert (batch.rows, len(batch.flights), batcher.depth) == (2, 1, 2)


@given(
    st.lists(st.tuples(st.integers(0, 255), st.booleans(), st.booleans()), max_size=300), st.integers(1, 9)
)
def test_every_flight_that_is_waited_for_is_cut_once_and_no_other(
    arrivals: list[tuple[int, bool, bool]], max_batch: int
) -> None:
    batcher = Batcher(max_batch, 0.02, window=False)
    wanted = []
    for value, other, leaves in arrivals:
        one = flight(value, 0.0, OTHER if other else None)
        batcher.add(one)
        if leaves:
            abandon(batcher, one)
        else:
            wanted.append(one)
    assert sorted(map(id, batcher)) == sorted(map(id, wanted))
    assert batcher.depth == len(wanted)
    cut = []
    while (batch := batcher.cut(0.0)) is not None:
        assert 1 <= batch.rows <= max_batch
        assert len({one.signature.encoded for one in batch.flights}) == 1
        cut += batch.flights
    assert sorted(map(id, cut)) == sorted(map(id, wanted))


def test_abandoned_flights_are_forgotten_when_they_are_the_majority() -> None:
    batcher = Batcher(8, 0.02, window=True)
    flights = [flight(value, signature=OTHER if value % 2 else None) for value in range(140)]
    for one in flights:
        batcher.add(one)
    for one in flights[1:]:
        abandon(batcher, one)
    assert sum(len(queue) for queue in batcher._groups.values()) < 80
    assert list(batcher) == flights[:1]
