from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringserve.core.signature import Result, ResultLayout
from ringserve.errors import ANSWERS, QueueFull, ServeError
from ringserve.wire import records
from ringserve.wire.frames import LinkError

requests = st.tuples(
    st.integers(1, 2**32 - 1),
    st.floats(-1, 1e7),
    st.binary(min_size=16, max_size=16),
    st.binary(max_size=30),
    st.binary(max_size=30),
    st.integers(0, 2**16 - 1),
    st.booleans(),
)


@given(st.lists(requests, max_size=6))
def test_requests_come_out_as_they_went_in(
    sent: list[tuple[int, float, bytes, bytes, bytes, int, bool]],
) -> None:
    body = b"".join(records.request_head(*row) + row[3] + row[4] for row in sent)
    got = records.read_requests(body)
    assert [(row.id, row.key, row.signature, row.payload, row.model, row.flags) for row in got] == [
        (call_id, key, signature, payload, model, records.FRESH if fresh else 0)
        for call_id, _left, key, signature, payload, model, fresh in sent
    ]
    assert all(
        row.left_ms == min(max(0, int(one[1] * 1000)), 2**32 - 1) for row, one in zip(got, sent, strict=True)
    )


@given(
    st.integers(0, 9),
    st.lists(st.tuples(st.integers(1, 99), st.binary(max_size=9), st.booleans()), max_size=5),
)
def test_answers_come_out_as_they_went_in(depth: int, sent: list[tuple[int, bytes, bool]]) -> None:
    layout = ResultLayout(())
    parts = [records.answer_record(number, Result(layout, data), hit, 7) for number, data, hit in sent]
    body = records.DEPTH.pack(depth) + b"".join(part for record in parts for part in record)
    got_depth, got = records.read_answers(body)
    assert got_depth == depth
    assert [(row.id, row.payload, row.status == records.CACHED) for row in got] == sent
    assert all((row.layout, row.time) == (layout.encoded, 7) for row in got)


@pytest.mark.parametrize("kind", ANSWERS)
def test_each_error_survives_the_wire(kind: type[ServeError]) -> None:
    body = records.DEPTH.pack(0) + b"".join(records.error_record(5, kind("why", 1.5)))
    _depth, (record,) = records.read_answers(body)
    error = records.error_of(record)
    assert (type(error), error.message, error.retry_after_s) == (kind, "why", 1.5)
    plain = records.read_answers(records.DEPTH.pack(0) + b"".join(records.error_record(5, kind("why"))))[1][0]
    assert records.error_of(plain).retry_after_s is None


def test_an_unknown_error_is_a_broken_rule() -> None:
    with pytest.raises(LinkError, match="unknown status 99"):
        records.error_of(records.AnswerRecord(1, 99, 0, b"", b""))


@given(st.binary(max_size=80))
def test_garbage_is_a_link_error_and_nothing_else(body: bytes) -> None:
    for read in (records.read_requests, records.read_answers, records.read_cancel, records.read_pong):
        try:
            read(body)
        except LinkError:
            continue


def test_a_record_cut_short_or_grown_is_a_link_error() -> None:
    whole = records.request_head(1, 1.0, bytes(16), b"ss", b"ppp", 1, False) + b"ssppp"
    answer = records.DEPTH.pack(0) + b"".join(
        records.answer_record(1, Result(ResultLayout(()), b"abc"), True, 1)
    )
    for body, read in ((whole, records.read_requests), (answer, records.read_answers)):
        for wrong in (body[:-1], body + b"x"):
            with pytest.raises(LinkError):
                read(wrong)


def test_cancels_and_pongs_come_out_as_they_went_in() -> None:
    assert records.read_cancel(records.cancel_body([1, 2**32 - 1])) == (1, 2**32 - 1)
    pong = records.Pong(0.5, 0.25, 9, 3)
    assert records.read_pong(records.PONG.pack(*pong)) == pong


@pytest.mark.parametrize(
    ("left_s", "left_ms"),
    [(float("inf"), 2**32 - 1), (1e300, 2**32 - 1), (-float("inf"), 0), (-0.5, 0), (0.0019, 1), (2.5, 2500)],
)
def test_any_time_left_has_a_place_in_a_record(left_s: float, left_ms: int) -> None:
    (record,) = records.read_requests(records.request_head(1, left_s, bytes(16), b"", b"", 1, False))
    assert record.left_ms == left_ms


def test_the_bytes_of_records_are_pinned() -> None:
    """Both ends of a link may be of different versions: what they say may not move."""
    head = records.request_head(1, 2.0, bytes(range(16)), b"ab", b"c", 258, True)
    assert head.hex() == "01000000d0070000020001000000000102030405060708090a0b0c0d0e0f020101"
    computed = b"".join(records.answer_record(2, Result(ResultLayout(()), b"xyz"), False, 500))
    assert computed.hex() == "0200000000f4010000040003000000" + b"[[]]xyz".hex()
    failed = b"".join(records.error_record(3, QueueFull("no", 1.0)))
    assert failed.hex() == "0300000006e8030000000002000000" + b"no".hex()
    assert records.cancel_body([1, 258]).hex() == "0100000002010000"
    assert records.PONG.pack(1.0, 2.0, 3, 4).hex() == (
        "000000000000f03f0000000000000040030000000000000004000000"
    )


def test_a_long_sentence_is_cut_and_still_read() -> None:
    body = b"".join(records.error_record(1, QueueFull("é" * 5000 + "!")))
    _depth, (record,) = records.read_answers(records.DEPTH.pack(0) + body)
    assert records.error_of(record).message == "é" * 2048


def test_a_time_too_long_for_its_field_is_the_longest_that_fits() -> None:
    result = Result(ResultLayout(()), b"")
    body = records.DEPTH.pack(0) + b"".join(records.answer_record(1, result, True, 2**40))
    assert records.read_answers(body)[1][0].time == 2**32 - 1


@pytest.mark.parametrize("status", [0, 1, 2 + len(ANSWERS), 255])
def test_a_status_that_is_no_error_is_a_broken_rule(status: int) -> None:
    with pytest.raises(LinkError, match=f"unknown status {status}"):
        records.error_of(records.AnswerRecord(1, status, 0, b"", b""))


def test_more_requests_in_a_frame_than_were_granted_break_the_rules() -> None:
    body = records.request_head(1, 1.0, bytes(16), b"", b"", 1, False) * 5
    assert len(records.read_requests(body, 5)) == 5
    with pytest.raises(LinkError, match="more than 4 requests"):
        records.read_requests(body, 4)
