from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringserve.core.batcher import Batcher, BatcherStatistics, CutReason
from ringserve.core.signature import Signature, TensorLayout
from ringserve.core.single_flight import Flight, leave
from ringserve.core.tensor import DType
from tests.core.calls import noted

OTHER = Signature("m", "", (TensorLayout("x", DType.UINT8, (1, 2)),))


def of_rows(rows: int) -> Signature:
    return Signature("m", "", (TensorLayout("x", DType.UINT8, (rows, 1)),))


def flight(value: int, now: float = 0.0, signature: Signature | None = None) -> Flight:
    return Flight(noted(value) if signature is None else noted(value, signature=signature), now)


def abandon(batcher: Batcher, gone: Flight) -> None:
    for call in list(gone.calls):
        leave(call)
    batcher.abandon([gone])


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


def cut_rows(batcher: Batcher) -> list[list[int]]:
    """The rows of each flight of each batch there is."""
    return [[one.rows for one in batch.flights] for batch in iter(lambda: batcher.cut(0.0), None)]


def test_requests_of_different_rows_share_a_run_in_order_and_one_that_does_not_fit_begins_the_next() -> None:
    batcher = Batcher(4, 0.02, window=False)
    for value, rows in enumerate((1, 2, 3, 1, 2, 2, 1)):
        batcher.add(flight(value, signature=of_rows(rows)))
    assert cut_rows(batcher) == [[1, 2], [3, 1], [2, 2], [1]]
    assert batcher.depth == 0


def test_a_batch_tells_the_signature_of_each_flight_only_where_their_rows_differ() -> None:
    batcher = Batcher(4, 0.02, window=False)
    told: list[list[int] | None] = []
    for rows in ((1, 1), (2, 2), (1, 2), (3,)):
        for value, count in enumerate(rows):
            batcher.add(flight(value, signature=of_rows(count)))
        batch = batcher.cut(0.0)
        assert batch is not None
        signatures = batch.signatures()
        told.append(None if signatures is None else [one.rows for one in signatures])
    assert told == [None, None, [1, 2], None]


def test_a_batch_may_keep_some_of_its_flights() -> None:
    batcher = Batcher(4, 0.02, window=False)
    flights = [flight(value, signature=of_rows(rows)) for value, rows in enumerate((2, 1, 1))]
    for one in flights:
        batcher.add(one)
    batch = batcher.cut(0.0)
    assert batch is not None
    batch.keep(flights[1:])
    assert (batch.rows, batch.signature.rows, batch.full, batch.signatures()) == (2, 1, False, None)
    batch.keep([])
    assert (batch.rows, batch.flights) == (0, [])


def test_a_flight_larger_than_a_batch_runs_alone_and_none_is_split() -> None:
    batcher = Batcher(1, 0.02, window=False)
    batcher.add(flight(1, signature=of_rows(2)))
    batcher.add(flight(2, signature=of_rows(2)))
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
        assert len({one.signature.group for one in batch.flights}) == 1
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


@given(st.floats(0.0, 1e7), st.floats(1e-6, 10.0))
def test_what_a_window_asks_to_be_woken_for_is_cut_at_that_moment(now: float, timeout_s: float) -> None:
    batcher = Batcher(2, timeout_s, window=True)
    batcher.add(flight(1, now))
    wake = batcher.next_wake()
    assert wake is not None
    batch = batcher.cut(wake)
    assert batch is not None
    assert batch.reason is CutReason.DUE


@pytest.mark.parametrize(
    ("max_batch", "signatures", "full"),
    [
        (1, [None], [True]),
        (2, [None, None], [True]),
        (2, [None], [False]),
        (2, [None, OTHER], [True, False]),
        (3, [of_rows(2), of_rows(2)], [True, False]),
    ],
)
def test_a_batch_is_full_when_it_had_no_room_or_left_some_waiting(
    max_batch: int, signatures: list[Signature | None], full: list[bool]
) -> None:
    batcher = Batcher(max_batch, 0.02, window=False)
    for value, signature in enumerate(signatures):
        batcher.add(flight(value, float(value), signature))
    batches = [batcher.cut(9.0) for _ in full]
    assert [batch is not None and batch.full for batch in batches] == full


def test_a_request_without_a_row_is_cut_like_any_other() -> None:
    batcher = Batcher(8, 0.02, window=False)
    empty = flight(1, signature=of_rows(0))
    batcher.add(empty)
    batch = batcher.cut(0.0)
    assert batch is not None
    assert (batch.flights, batch.rows) == ([empty], 1)


def test_a_request_without_a_row_shares_no_run_with_those_that_have_some() -> None:
    batcher = Batcher(8, 0.02, window=False)
    for value, rows in enumerate((1, 0, 2, 0)):
        batcher.add(flight(value, float(value), of_rows(rows)))
    batches = [batcher.cut(9.0) for _ in range(2)]
    assert [[one.signature.rows for one in batch.flights] for batch in batches if batch] == [[1, 2], [0, 0]]


def test_a_shape_that_all_abandoned_holds_up_no_other() -> None:
    batcher = Batcher(8, 0.02, window=False)
    gone, wanted = flight(1, 0.0, OTHER), flight(2, 1.0)
    batcher.add(gone)
    batcher.add(wanted)
    abandon(batcher, gone)
    batch = batcher.cut(1.0)
    assert batch is not None
    assert batch.flights == [wanted]
    assert batcher.cut(1.0) is None


def test_a_shape_that_nobody_waits_for_is_forgotten_with_its_flights() -> None:
    batcher = Batcher(8, 0.02, window=True)
    flights = [flight(value, signature=OTHER) for value in range(65)]
    wanted = flight(1)
    for one in [*flights, wanted]:
        batcher.add(one)
    for one in flights:
        abandon(batcher, one)
    assert list(batcher._groups) == [wanted.signature.group]
    assert batcher.depth == 1


def test_its_statistics_tell_the_age_of_the_oldest_that_somebody_waits_for() -> None:
    batcher = Batcher(8, 0.02, window=False)
    assert batcher.statistics(5.0) == BatcherStatistics(depth=0, groups=0, oldest_s=0.0)
    gone = flight(1, now=1.0)
    for one in (gone, flight(2, now=2.0), flight(3, now=1.5, signature=OTHER)):
        batcher.add(one)
    abandon(batcher, gone)
    assert batcher.statistics(5.0) == BatcherStatistics(depth=2, groups=2, oldest_s=3.5)
