from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringserve.wire.frames import FROM_GATEWAY, HELLO_BYTES_MAX, FrameReader, Kind, LinkError, frame

bodies = st.lists(st.tuples(st.sampled_from(sorted(FROM_GATEWAY)), st.binary(max_size=40)), max_size=8)


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
