from __future__ import annotations

import gc
import itertools

from hypothesis import given
from hypothesis import strategies as st

from ringserve.core.batcher import Batcher
from ringserve.core.byte_strings import join
from ringserve.core.signature import Result, ResultLayout, Signature, TensorLayout
from ringserve.core.single_flight import Flight, leave
from ringserve.core.slices import Slice, Whole
from ringserve.core.tensor import DType
from ringserve.errors import ModelFailed
from tests.core.calls import noted

KINDS = {"n": (DType.INT16, (3,)), "s": (DType.BYTES, (2,)), "e": (DType.FP32, (0,)), "b": (DType.BOOL, ())}


def layouts(kinds: str, rows: int) -> tuple[TensorLayout, ...]:
    return tuple(
        TensorLayout(f"{kind}{place}", KINDS[kind][0], (rows, *KINDS[kind][1]))
        for place, kind in enumerate(kinds)
    )


def tensor(kind: str, rows: range) -> bytes:
    """Rows of a tensor, each unlike every other, and strings of all lengths."""
    if kind == "s":
        return join(text * (row % 3) for row in rows for text in (b"%d" % row, b"!"))
    return b"".join(bytes([row % 251] * {"n": 6, "e": 0, "b": 1}[kind]) for row in rows)


def payload(kinds: str, rows: range) -> bytes:
    return b"".join(tensor(kind, rows) for kind in kinds)


def whole(kinds: str, rows: int) -> Whole:
    signature = Signature("m", "1", layouts(kinds, rows), ("n0",))
    return Whole(noted(1, signature=signature, payload=payload(kinds, range(rows))), 0.0)


def slices_of(flight: Whole, *sizes: int) -> list[Slice]:
    """Take slices of these sizes, over and over, to its end."""
    parts = []
    for size in itertools.cycle(sizes):
        parts.append(flight.take(min(size, flight.rows)))
        if not flight.rows:
            return parts
    raise AssertionError("no sizes")


@given(
    st.text("nseb", min_size=1, max_size=4),
    st.integers(2, 40),
    st.lists(st.integers(1, 12), min_size=1, max_size=5),
    st.randoms(),
)
def test_slices_are_the_rows_in_order_and_their_results_make_one(
    kinds: str, rows: int, sizes: list[int], chance: object
) -> None:
    flight = whole(kinds, rows)
    parts = slices_of(flight, *sizes)
    begin = 0
    for part in parts:
        assert part.payload == payload(kinds, range(begin, begin + part.rows))
        assert part.signature.inputs[0].shape[0] == part.rows == part.signature.rows
        assert (part.signature.model, part.signature.version, part.signature.outputs) == ("m", "1", ("n0",))
        assert part.calls is flight.calls
        begin += part.rows
    assert begin == rows
    answers = [Result(ResultLayout(layouts(kinds, part.rows)), part.payload) for part in parts]
    landing = list(zip(parts, answers, strict=True))
    chance.shuffle(landing)  # type: ignore[attr-defined]
    outcomes = [flight.place(part, answer) for part, answer in landing]
    assert outcomes[:-1] == [None] * (len(parts) - 1)
    last = outcomes[-1]
    assert isinstance(last, Result)
    assert last.payload == payload(kinds, range(rows))
    assert last.layout.encoded == ResultLayout(layouts(kinds, rows)).encoded


def test_a_slice_is_of_the_very_kind_of_a_request_of_its_rows() -> None:
    (first, second) = slices_of(whole("n", 5), 2, 3)
    assert first.signature.encoded == Signature("m", "1", layouts("n", 2), ("n0",)).encoded
    assert second.signature.encoded == Signature("m", "1", layouts("n", 3), ("n0",)).encoded
    assert first.signature.group == second.signature.group == second.whole.signature.group


def test_an_output_without_the_rows_of_its_slice_is_the_models_failure() -> None:
    flight = whole("n", 2)
    landed = [
        flight.place(part, Result(ResultLayout(layouts("n", 2)), bytes(12))) for part in slices_of(flight, 1)
    ]
    outcome = landed[-1]
    assert isinstance(outcome, ModelFailed)
    assert "'n0' has the shape [2, 3] for 1 rows" in outcome.message


def test_rows_that_came_out_in_different_shapes_make_no_tensor() -> None:
    flight = whole("n", 4)
    first, second = slices_of(flight, 2)
    assert flight.place(second, Result(ResultLayout(layouts("n", 2)), bytes(12))) is None
    other = ResultLayout((TensorLayout("n0", DType.INT16, (2, 4)),))
    outcome = flight.place(first, Result(other, bytes(16)))
    assert isinstance(outcome, ModelFailed)
    assert "shape [2, 4] for 2 rows and [2, 3] for 2" in outcome.message


def test_a_request_of_millions_of_rows_is_one_entry_of_the_queue() -> None:
    signature = Signature("m", "", (TensorLayout("x", DType.UINT8, (2_000_003, 1)),))
    flight = Whole(noted(1, signature=signature, payload=bytes(2_000_003)), 0.0)
    batcher = Batcher(32, 0.02, window=False)
    batcher.add(flight)
    assert batcher.depth == 2_000_003
    assert len(list(batcher)) == 1
    assert [batch.rows for _ in range(3) if (batch := batcher.cut(0.0))] == [32, 32, 32]
    assert batcher.depth == 2_000_003 - 96


def test_an_abandoned_whole_lets_its_bytes_go_but_not_those_of_what_runs() -> None:
    flight = whole("n", 5)
    (call,) = flight.calls
    batcher = Batcher(2, 0.02, window=False)
    batcher.add(flight)
    batch = batcher.cut(0.0)
    assert batch is not None
    leave(call)
    batcher.abandon(flight.waiting())
    assert flight.payload == b""
    assert batch.flights[0].payload == payload("n", range(2))


def test_a_whole_waits_until_its_last_rows_run_and_holds_no_slice() -> None:
    """A pair that held each other would outlive the request, with its bytes, until a search for cycles."""
    flight = whole("n", 3)
    first = flight.take(2)
    assert (flight.waiting(), flight.rows, flight.missing) == ([flight], 1, 3)
    last = flight.take(1)
    assert (flight.waiting(), flight.rows, flight.missing) == ([], 0, 3)
    assert flight.place(last, Result(ResultLayout(layouts("n", 1)), bytes(6))) is None
    assert flight.missing == 2
    assert not any(isinstance(referred, Slice) for referred in gc.get_referents(flight))
    assert first.whole is flight


def test_a_whole_fills_the_room_that_others_leave_before_it_and_behind_it() -> None:
    batcher = Batcher(3, 0.02, window=False)
    for rows in (1, 7, 1):
        signature = Signature("m", "1", layouts("n", rows), ("n0",))
        call = noted(rows, signature=signature, payload=payload("n", range(rows)))
        batcher.add(Whole(call, 0.0) if rows > 3 else Flight(call, 0.0))
    batches = list(iter(lambda: batcher.cut(0.0), None))
    assert [[one.rows for one in batch.flights] for batch in batches] == [[1, 2], [3], [2, 1]]
    assert batcher.depth == 0
    assert all(one.running for batch in batches for one in batch.flights)


def test_a_flight_of_one_run_waits_until_it_runs_and_has_no_whole() -> None:
    flight = Flight(noted(1), 0.0)
    assert flight.whole is None
    assert list(flight.waiting()) == [flight]
    flight.running = True
    assert list(flight.waiting()) == []
