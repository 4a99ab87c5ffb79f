"""What a gateway asks beside requests, and what a worker answers."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringserve.errors import ANSWERS, ModelFailed, ServeError
from ringserve.wire.control import (
    LOAD,
    NAME_MAX,
    Control,
    decode_control,
    decode_controlled,
    encode_control,
    encode_controlled,
)
from ringserve.wire.frames import LinkError


def test_what_is_asked_survives_the_wire() -> None:
    asked = Control(7, LOAD, "a/b \u00e9")
    assert decode_control(encode_control(asked)) == asked


def test_what_was_asked_for_survives_the_wire() -> None:
    got = decode_controlled(encode_controlled(7, "[1]"))
    assert (got.id, got.message, got.error()) == (7, "[1]", None)


@pytest.mark.parametrize("kind", ANSWERS)
def test_each_error_survives_the_wire(kind: type[ServeError]) -> None:
    error = decode_controlled(encode_controlled(7, kind("why"))).error()
    assert (type(error), str(error)) == (kind, "why")


def test_an_error_without_a_number_of_its_own_is_a_failure() -> None:
    error = decode_controlled(encode_controlled(7, ServeError("why"))).error()
    assert (type(error), str(error)) == (ModelFailed, "why")


@pytest.mark.parametrize("status", [-1, 1, 2 + len(ANSWERS)])
def test_a_status_that_is_no_error_breaks_the_rules(status: int) -> None:
    body = json.dumps({"id": 1, "status": status, "message": ""}).encode()
    with pytest.raises(LinkError, match=f"unknown status {status}"):
        decode_controlled(body).error()


@given(st.binary(max_size=60) | st.text('{}[]",:0idactonmeslg\\u', max_size=60).map(str.encode))
def test_garbage_is_a_link_error_and_nothing_else(body: bytes) -> None:
    for read in (decode_control, decode_controlled):
        with pytest.raises(LinkError, match="cannot be read"):
            read(body)


def test_a_name_longer_than_any_and_a_number_beyond_its_field_are_refused() -> None:
    for asked in (
        Control(1, LOAD, "x" * (NAME_MAX + 1)),
        Control(1 << 32, LOAD, "x"),
        Control(-1, LOAD, "x"),
    ):
        with pytest.raises(LinkError, match="cannot be read"):
            decode_control(encode_control(asked))


def test_the_bytes_are_pinned() -> None:
    assert encode_control(Control(1, LOAD, "m")) == b'{"id":1,"action":"load","name":"m"}'
    assert encode_controlled(1, "") == b'{"id":1,"status":0,"message":""}'
