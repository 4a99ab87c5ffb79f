from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ringserve.client.errors import BadAnswer, ClientError, ConnectionFailed
from ringserve.client.http_message import HEAD_BYTES_MAX, AnswerReader, HttpAnswer, request_head

SIZED = b"HTTP/1.1 200 OK\r\nInference-Header-Content-Length: 2\r\nContent-Length: 4\r\n\r\nabcd"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n"
UNTIL_END = b"HTTP/1.1 200 OK\r\n\r\nabcd"
CLOSING = b"HTTP/1.1 503 Busy\r\nConnection: close\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nabcd"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n" + SIZED
WANTED = [
    (SIZED, HttpAnswer(200, b"abcd", 2, None, True)),
    (CHUNKED, HttpAnswer(200, b"abcd", None, None, True)),
    (UNTIL_END, HttpAnswer(200, b"abcd", None, None, False)),
    (CLOSING, HttpAnswer(503, b"abcd", None, 7.0, False)),
    (INTERIM, HttpAnswer(200, b"abcd", 2, None, True)),
    (b"HTTP/1.1 204 None\r\n\r\n", HttpAnswer(204, b"", None, None, True)),
    (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", HttpAnswer(200, b"", None, None, False)),
]


def read(data: bytes, cuts: list[int]) -> HttpAnswer:
    """Feed it in pieces, then the end of the connection."""
    reader = AnswerReader()
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    for start, end in pairwise(edges):
        if start < end and (answer := reader.feed(data[start:end])) is not None:
            return answer
    return reader.feed_end()


@pytest.mark.parametrize(("data", "wanted"), WANTED)
@settings(max_examples=25)  # each cut into bytes as well
@given(cuts=st.lists(st.integers(1, 120)))
def test_an_answer_is_the_same_however_it_is_cut(data: bytes, wanted: HttpAnswer, cuts: list[int]) -> None:
    assert read(data, cuts) == wanted
    assert read(data, list(range(len(data)))) == wanted


@given(st.binary(max_size=300), st.lists(st.integers(1, 300)), st.sampled_from([one for one, _ in WANTED]))
@example(b"", [], b"")
@example(b"HTTP/1.1 101 Other\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", [], b"")
@example(b"HTTP/1.1 200 OK\r\nInference-Header-Content-Length: x\r\nContent-Length: 0\r\n\r\n", [], b"")
def test_any_bytes_are_an_answer_or_one_of_the_errors(noise: bytes, cuts: list[int], whole: bytes) -> None:
    for data in (noise, noise + whole, whole[: len(noise)] + noise, whole + noise):
        try:
            read(data, cuts)
        except ClientError:
            continue


@pytest.mark.parametrize("after", [SIZED, b"garbage"])
def test_a_connection_that_brings_more_than_was_asked_for_is_not_used_again(after: bytes) -> None:
    assert AnswerReader().feed(SIZED + after) == HttpAnswer(200, b"abcd", 2, None, False)
    assert AnswerReader().feed(CLOSING + after) == HttpAnswer(503, b"abcd", None, 7.0, False)


@pytest.mark.parametrize(("data", "answering"), [(b"", False), (SIZED[:-1], True), (SIZED[:20], True)])
def test_an_end_before_the_end_says_whether_an_answer_had_begun(data: bytes, answering: bool) -> None:
    with pytest.raises(ConnectionFailed) as caught:
        read(data, [])
    assert (caught.value.sent, caught.value.answering) == (True, answering)


def test_a_head_of_100_kb_is_read_and_one_without_end_is_not() -> None:
    large = b"HTTP/1.1 200 OK\r\nX-Large: " + b"a" * 100_000 + b"\r\nContent-Length: 1\r\n\r\na"
    assert read(large, list(range(0, len(large), 1000))).body == b"a"
    reader = AnswerReader()
    reader.feed(b"HTTP/1.1 200 OK\r\n")
    line = b"X-Header: " + b"a" * 1000 + b"\r\n"
    for _ in range(HEAD_BYTES_MAX // len(line)):
        assert reader.feed(line) is None
    with pytest.raises(BadAnswer, match="head"):
        reader.feed(line)


def test_a_request_says_the_time_that_is_left_in_steps_that_repeat() -> None:
    def told(left_s: float) -> bytes:
        head = request_head("POST", "/v2", b"Host: x\r\n", 3, left_s)
        return head.partition(b"X-Request-Timeout-Ms: ")[2].partition(b"\r\n")[0]

    assert [told(left) for left in (30.0, 29.9994, 1.001, 0.0301, 1e-9, -1.0)] == [
        b"30000",
        b"30000",
        b"1010",
        b"31",
        b"1",
        b"1",
    ]
    assert request_head("POST", "/p", b"Host: x\r\n", 9, 1.0, 5) == (
        b"POST /p HTTP/1.1\r\nHost: x\r\nInference-Header-Content-Length: 5\r\n"
        b"X-Request-Timeout-Ms: 1000\r\nContent-Length: 9\r\n\r\n"
    )
