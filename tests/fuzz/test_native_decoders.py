"""The decoders we did not write, against others of the same formats: what we rely on, of any version."""

from __future__ import annotations

import json
from typing import Any

import h11
import httptools
import msgspec
import orjson
from hypothesis import given
from hypothesis import strategies as st

from ringserve.wire.hello import GatewayHello

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)
pieces = st.text('{}[]":,.0123456789-+eE truefalsn\\u/dx\n', max_size=40)


@given(values)
def test_orjson_reads_what_the_standard_library_writes_and_the_other_way_round(value: object) -> None:
    for written in (json.dumps(value), json.dumps(value, ensure_ascii=False), json.dumps(value, indent=1)):
        assert same(orjson.loads(written), value)
    assert same(json.loads(orjson.dumps(value)), value)


@given(pieces)
def test_orjson_takes_nothing_that_the_standard_library_refuses(written: str) -> None:
    try:
        value = orjson.loads(written)
    except orjson.JSONDecodeError:
        return
    assert same(value, json.loads(written))


def same(one: Any, other: Any) -> bool:  # noqa: ANN401 - JSON
    """Equal in type and value; orjson reads an integer that has no 64 bits as a float."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, float) and type(other) is int:
        return not -(2**63) <= other < 2**64 and one == float(other)
    if one == other == 0:
        return True  # orjson reads -0 as the integer
    return type(one) is type(other) and bool(one == other)


class Heard:
    """What httptools tells of a request."""

    def __init__(self) -> None:
        self.url = self.body = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.finished = 0

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.finished += 1


token = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789-_", min_size=1, max_size=8).map(str.encode)
value = st.text("abc XYZ019;=,/()\"'\t", max_size=12).map(lambda said: said.strip(" \t").encode())


@given(
    st.sampled_from([b"GET", b"POST", b"PUT", b"DELETE"]),
    st.text("abc/%20?=&.-", max_size=12).map(lambda path: b"/" + path.encode()),
    st.lists(st.tuples(token.map(b"x-".__add__), value), max_size=5),
    st.binary(max_size=60),
    st.booleans(),
    st.integers(1, 30),
)
def test_httptools_hears_what_h11_says_wherever_it_is_cut(
    method: bytes, url: bytes, headers: list[tuple[bytes, bytes]], body: bytes, chunked: bool, size: int
) -> None:
    framing = (b"transfer-encoding", b"chunked") if chunked else (b"content-length", b"%d" % len(body))
    client = h11.Connection(h11.CLIENT)
    told = [(b"host", b"x"), *headers, framing]
    sent = client.send(h11.Request(method=method, target=url, headers=told)) or b""
    sent += client.send(h11.Data(data=body)) or b""
    sent += client.send(h11.EndOfMessage()) or b""
    for step in (size, len(sent)):
        heard = Heard()
        parser = httptools.HttpRequestParser(heard)
        for start in range(0, len(sent), step):
            parser.feed_data(sent[start : start + step])
        assert (parser.get_method(), heard.url, heard.body, heard.finished) == (method, url, body, 1)
        assert heard.headers == [(name.lower(), value) for name, value in told]


@given(st.dictionaries(st.sampled_from(["link", "called", "more"]), values, max_size=3) | values)
def test_msgspec_takes_just_the_hellos_that_a_walk_over_the_value_takes(said: object) -> None:
    right = (
        isinstance(said, dict)
        and (type(said.get("link")) is int or is_whole(said.get("link")))
        and isinstance(said.get("called"), str)
    )
    try:
        heard = msgspec.json.decode(json.dumps(said).encode(), type=GatewayHello)
    except msgspec.MsgspecError:
        assert not right
        return
    assert isinstance(said, dict)
    assert right
    assert (heard.link, heard.called) == (said["link"], said["called"])


def is_whole(value: object) -> bool:
    """Whether msgspec takes a float for an int: it does for 1.0."""
    return isinstance(value, float) and value.is_integer()
