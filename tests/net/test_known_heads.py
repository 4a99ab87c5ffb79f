"""A head that was seen before is known by its bytes; what could be read in two ways is never learnt."""

from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringserve.net.hot_paths import InferPath
from ringserve.net.known_heads import HEAD_BYTES_MAX, HEADS_MAX, KnownHeads
from ringserve.net.plain_head import PlainHead

HEAD = b"POST /infer HTTP/1.1\r\nHost: x\r\nContent-Length: 5"
END = b"\r\n\r\n"


def cut(heads: KnownHeads, data: bytes) -> tuple[list[tuple[bytes, bytes | None]], int]:
    """Bodies and timeouts, and the bytes used."""
    requests, used = heads.cut(data, None)
    return [(body, known.timeout) for body, known, _ in requests], used


def plain(length: int, timeout: bytes | None = None) -> PlainHead:
    """A head of no particular path."""
    return PlainHead(length, cast("InferPath", None), timeout, None, False, [])


def learnt(head: bytes = HEAD, body: bytes = b"12345", timeout: bytes | None = None) -> KnownHeads:
    heads = KnownHeads()
    heads.learn(head + END + body, plain(len(body), timeout))
    return heads


def test_nothing_is_known_at_first() -> None:
    assert KnownHeads().cut(HEAD + END + b"12345", None) == ([], 0)


def test_a_known_head_gives_its_body_and_its_timeout() -> None:
    heads = learnt(timeout=b"250")
    data = HEAD + END + b"abcde"
    assert cut(heads, data) == ([(b"abcde", b"250")], len(data))


@given(st.lists(st.binary(min_size=5, max_size=5), min_size=1, max_size=5), st.data())
def test_a_pipeline_cut_anywhere_gives_the_whole_requests_at_its_beginning(
    bodies: list[bytes], data: st.DataObject
) -> None:
    heads = learnt()
    one = len(HEAD) + len(END) + 5
    stream = b"".join(HEAD + END + body for body in bodies)
    at = data.draw(st.integers(0, len(stream)))
    whole = at // one
    assert cut(heads, stream[:at]) == ([(body, None) for body in bodies[:whole]], whole * one)


@pytest.mark.parametrize("change", [(b"x", b"y"), (b"5", b"6"), (b"POST", b"post"), (b"/infer", b"/health")])
def test_another_head_is_not_known(change: tuple[bytes, bytes]) -> None:
    assert cut(learnt(), HEAD.replace(*change) + END + b"123456") == ([], 0)


@pytest.mark.parametrize(
    "head",
    [
        HEAD.replace(b"\r\nHost", b"\nHost"),
        b"\r\n" + HEAD,
        HEAD + b"\r\nX: " + b"x" * HEAD_BYTES_MAX,
        b"GET" + HEAD[4:],
    ],
)
def test_what_could_be_read_in_two_ways_or_is_too_long_is_not_learnt(head: bytes) -> None:
    assert len(learnt(head)) == 0


@pytest.mark.parametrize("body", [b"1234", b"123456"])
def test_a_body_of_another_length_than_the_parser_saw_is_not_learnt(body: bytes) -> None:
    heads = KnownHeads()
    heads.learn(HEAD + END + body, plain(5))
    assert len(heads) == 0


def test_an_empty_line_in_the_body_does_not_end_the_head_again() -> None:
    heads = learnt(body=b"\r\n\r\nx")
    data = HEAD + END + b"\r\n\r\ny"
    assert cut(heads, data) == ([(b"\r\n\r\ny", None)], len(data))


def test_the_table_is_bounded() -> None:
    heads = KnownHeads()
    for number in range(HEADS_MAX + 1):
        heads.learn(HEAD + b"\r\nX: %d" % number + END + b"12345", plain(5))
    assert len(heads) == 1
