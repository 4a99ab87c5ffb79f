from __future__ import annotations

import gc

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


def whole(kinds: str, rows: int, rows_max: int) -> Whole:
    signature = Signature("m", "1", layouts(kinds, rows), ("n0",))
    return Whole(noted(1, signature=signature, payload=payload(kinds, range(rows))), 0.0, rows_max)


def slices_of(flight: Whole) -> list[Slice]:
    """Run it to its end: first what waits on its own, then what it gives off."""
    parts = [part for part in flight.waiting() if isinstance(part, Slice)]
    while flight.rows:
        parts.append(flight.take())
    return parts


@given(st.text("nseb", min_size=1, max_size=4), st.integers(2, 40), st.integers(1, 12), st.randoms())
def test_slices_are_the_rows_in_order_and_their_results_make_one(
    kinds: str, rows: int, rows_max: int, chance: object
) -> None:
    rows_max = min(rows_max, rows - 1)
    flight = whole(kinds, rows, rows_max)
    parts = slices_of(flight)
    begin = 0
    for part in parts:
        assert part.payload == payload(kinds, range(begin, begin + part.rows))
        assert part.signature.inputs[0].shape[0] == part.rows == part.signature.rows
        assert (part.signature.model, part.signature.version, part.signature.outputs) == ("m", "1", ("n0",))
        assert part.calls is flight.calls
        begin += part.rows
    assert begin == rows
    assert all(part.rows == rows_max for part in parts[1:])
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
    (first, second) = slices_of(whole("n", 5, 3))
    assert first.signature.encoded == Signature("m", "1", layouts("n", 2), ("n0",)).encoded
    assert second.signature.encoded == Signature("m", "1", layouts("n", 3), ("n0",)).encoded


def test_an_output_without_the_rows_of_its_slice_is_the_models_failure() -> None:
    flight = whole("n", 2, 1)
    landed = [
        flight.place(part, Result(ResultLayout(layouts("n", 2)), bytes(12))) for part in slices_of(flight)
    ]
    outcome = landed[-1]
    assert isinstance(outcome, ModelFailed)
    assert "'n0' has the shape [2, 3] for 1 rows" in outcome.message


def test_rows_that_came_out_in_different_shapes_make_no_tensor() -> None:
    flight = whole("n", 4, 2)
    first, second = slices_of(flight)
    assert flight.place(second, Result(ResultLayout(layouts("n", 2)), bytes(12))) is None
    other = ResultLayout((TensorLayout("n0", DType.INT16, (2, 4)),))
    outcome = flight.place(first, Result(other, bytes(16)))
    assert isinstance(outcome, ModelFailed)
    assert "shape [2, 4] for 2 rows and [2, 3] for 2" in outcome.message


def test_a_request_of_millions_of_rows_is_one_entry_of_the_queue() -> None:
    signature = Signature("m", "", (TensorLayout("x", DType.UINT8, (2_000_003, 1)),))
    flight = Whole(noted(1, signature=signature, payload=bytes(2_000_003)), 0.0, 32)
    batcher = Batcher(32, 0.02, window=False)
    for part in flight.waiting():
        batcher.add(part)
    assert batcher.depth == 2_000_003
    assert len(list(batcher)) == 2
    assert [batch.rows for _ in range(3) if (batch := batcher.cut(0.0))] == [3, 32, 32]
    assert batcher.depth == 2_000_003 - 67


def test_an_abandoned_whole_lets_its_bytes_go_but_not_those_of_what_runs() -> None:
    flight = whole("n", 5, 2)
    (call,) = flight.calls
    batcher = Batcher(2, 0.02, window=False)
    for part in flight.waiting():
        batcher.add(part)
    batch = batcher.cut(0.0)
    assert batch is not None
    leave(call)
    batcher.abandon(flight.waiting())
    assert flight.payload == b""
    assert batch.flights[0].payload == payload("n", range(1))


def test_a_whole_forgets_its_first_slice_once_that_runs() -> None:
    """They would else hold each other, and their bytes with them, until the next search for cycles."""
    for over in ("landed", "left"):
        flight = whole("n", 3, 2)
        (first, _) = flight.waiting()
        first.running = True
        if over == "landed":
            assert isinstance(first, Slice)
            flight.place(first, Result(ResultLayout(layouts("n", 1)), bytes(6)))
        assert flight.waiting() == [flight]
        assert not any(referred is first for referred in gc.get_referents(flight))


def test_a_flight_of_one_run_waits_until_it_runs_and_has_no_whole() -> None:
    flight = Flight(noted(1), 0.0)
    assert flight.whole is None
    assert list(flight.waiting()) == [flight]
    flight.running = True
    assert list(flight.waiting()) == []
