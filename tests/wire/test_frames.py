from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringserve.wire.frames import (
    CANCEL_BYTES_MAX,
    FROM_GATEWAY,
    FROM_WORKER,
    HELLO_BYTES_MAX,
    MODELS_BYTES_MAX,
    FrameReader,
    Kind,
    LinkError,
    frame,
)

long = st.tuples(st.sampled_from([Kind.REQUESTS, Kind.CANCEL]), st.binary(max_size=40))
empty = st.tuples(st.sampled_from([Kind.PING, Kind.GOODBYE]), st.just(b""))
bodies = st.lists(long | empty, max_size=8)


@given(bodies, st.lists(st.integers(1, 30), min_size=1, max_size=40))
def test_frames_come_out_the_same_however_the_bytes_are_cut(
    sent: list[tuple[Kind, bytes]], sizes: list[int]
) -> None:
    stream = frame(Kind.HELLO, b"hi") + b"".join(frame(kind, body) for kind, body in sent)
    reader = FrameReader(FROM_GATEWAY, 1000)
    got, position, turn = [], 0, 0
    while position < len(stream):
        size = sizes[turn % len(sizes)]
        got += reader.feed(stream[position : position + size])
        position, turn = position + size, turn + 1
    assert got == [(Kind.HELLO, b"hi"), *sent]


@given(st.binary(max_size=100))
def test_garbage_is_a_link_error_or_an_unfinished_frame(data: bytes) -> None:
    reader = FrameReader(FROM_GATEWAY, 50)
    try:
        for kind, _body in reader.feed(data):
            assert kind == Kind.HELLO or kind in FROM_GATEWAY
    except LinkError:
        return


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (frame(Kind.PING), "begins with a hello"),
        (frame(Kind.HELLO) + frame(Kind.PONG), "may not come here"),
        (frame(Kind.HELLO) + frame(Kind.HELLO), "may not come here"),
        (frame(Kind.HELLO) + frame(Kind.REQUESTS, bytes(51)), "longer than 50"),
        ((HELLO_BYTES_MAX + 1).to_bytes(4, "little") + b"\1", "longer than"),
        (frame(Kind.HELLO) + b"\xff\xff\xff\xff\2", "longer than 50"),
        (frame(Kind.HELLO) + frame(Kind.PING, b"x"), "longer than 0"),
    ],
)
def test_a_broken_rule_is_named_before_its_bytes_are_awaited(data: bytes, sentence: str) -> None:
    with pytest.raises(LinkError, match=sentence):
        FrameReader(FROM_GATEWAY, 50).feed(data)
    reader = FrameReader(FROM_GATEWAY, 50)

    def feed_byte_by_byte() -> None:
        for position in range(len(data)):
            reader.feed(data[position : position + 1])

    with pytest.raises(LinkError, match=sentence):
        feed_byte_by_byte()


def test_the_bytes_of_a_frame_are_pinned() -> None:
    assert frame(Kind.PING, b"ab") == b"\2\0\0\0\5ab"


def test_a_long_frame_in_pieces_is_held_until_it_is_whole() -> None:
    reader = FrameReader(FROM_GATEWAY, 1 << 20)
    whole = frame(Kind.HELLO) + frame(Kind.REQUESTS, bytes(1 << 20)) + frame(Kind.PING)[:3]
    got = [one for start in range(0, len(whole), 4096) for one in reader.feed(whole[start : start + 4096])]
    assert [(kind, len(body)) for kind, body in got] == [(Kind.HELLO, 0), (Kind.REQUESTS, 1 << 20)]
    assert reader.feed(frame(Kind.PING)[3:]) == [(Kind.PING, b"")]
    assert not reader._buffer


@given(st.binary(max_size=100), st.integers(1, 100))
def test_garbage_after_a_hello_breaks_the_link_at_every_cut_or_at_none(data: bytes, size: int) -> None:
    def read(step: int) -> list[tuple[int, bytes]] | str:
        reader = FrameReader(FROM_GATEWAY, 50)
        stream, got = frame(Kind.HELLO) + data, []
        try:
            for start in range(0, len(stream), step):
                got += reader.feed(stream[start : start + step])
        except LinkError as error:
            return str(error)
        return got

    assert read(size) == read(200)


def test_the_number_of_each_kind_is_pinned() -> None:
    numbers = "HELLO=1 REQUESTS=2 ANSWERS=3 CANCEL=4 PING=5 PONG=6 GOING_AWAY=7 GOODBYE=8"
    numbers += " MODELS=9 CONTROL=10 CONTROLLED=11"
    assert " ".join(f"{kind.name}={kind.value}" for kind in Kind) == numbers


def test_a_kind_that_need_not_be_long_may_not_be_long() -> None:
    hello, cancel = frame(Kind.HELLO), (CANCEL_BYTES_MAX + 4).to_bytes(4, "little") + bytes([Kind.CANCEL])
    with pytest.raises(LinkError, match="longer than 1048576"):
        FrameReader(FROM_GATEWAY, 1 << 28).feed(hello + cancel)
    with pytest.raises(LinkError, match="longer than 28"):
        FrameReader(FROM_WORKER, 1 << 28).feed(hello + frame(Kind.PONG, bytes(29)))


def test_a_worker_with_many_models_may_have_more_to_say_than_a_gateway() -> None:
    long = frame(Kind.HELLO, bytes(HELLO_BYTES_MAX + 1))
    for kind in (Kind.MODELS, Kind.CONTROLLED):
        said = long + frame(kind, bytes(HELLO_BYTES_MAX + 1))
        reader = FrameReader(FROM_WORKER, 1 << 28, MODELS_BYTES_MAX)
        assert [got for got, _body in reader.feed(said)] == [Kind.HELLO, kind]
    with pytest.raises(LinkError, match="longer than 1048576"):
        FrameReader(FROM_GATEWAY, 1 << 28).feed(long)


def test_a_reader_tells_whether_more_must_come() -> None:
    reader, waits = FrameReader(FROM_GATEWAY, 50), []
    for part in (b"", frame(Kind.HELLO), frame(Kind.PING)[:2], frame(Kind.PING)[2:]):
        reader.feed(part)
        waits.append(reader.is_waiting)
    assert waits == [True, False, True, False]
