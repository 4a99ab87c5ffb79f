from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringserve.core.signature import Result, ResultLayout
from ringserve.errors import ANSWERS, ServeError
from ringserve.wire import records
from ringserve.wire.frames import LinkError

requests = st.tuples(
    st.integers(1, 2**32 - 1),
    st.floats(-1, 1e7),
    st.binary(min_size=16, max_size=16),
    st.binary(max_size=30),
    st.binary(max_size=30),
)


@given(st.lists(requests, max_size=6))
def test_requests_come_out_as_they_went_in(sent: list[tuple[int, float, bytes, bytes, bytes]]) -> None:
    body = b"".join(records.request_head(*row) + row[3] + row[4] for row in sent)
    got = records.read_requests(body)
    assert [(row.id, row.key, row.signature, row.payload) for row in got] == [
        (call_id, key, signature, payload) for call_id, _left, key, signature, payload in sent
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
    whole = records.request_head(1, 1.0, bytes(16), b"ss", b"ppp") + b"ssppp"
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
