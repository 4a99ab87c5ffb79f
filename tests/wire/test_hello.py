from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringserve.core.router.worker_state import Hello, Offer, Unready
from ringserve.core.tensor import DType, ModelSpec, TensorSpec
from ringserve.wire import hello
from ringserve.wire.frames import LinkError

SPEC = ModelSpec(
    name="m",
    version="1",
    digest="d",
    inputs=(TensorSpec("x", DType.FP32, ("b", None, 3)),),
    outputs=(TensorSpec("y", DType.INT64, (1,)),),
    batching=True,
    max_batch=32,
    cacheable=True,
    platform="CPUExecutionProvider",
)
OTHER = replace(SPEC, version="2", digest="e", labels=("cat", "dog"))
OFFERS = (Offer(1, SPEC, default=False), Offer(7, OTHER, default=True))
UNREADY = (Unready("m", "3", "UNAVAILABLE", "its file is broken"),)
HELLO = Hello("w", "i", OFFERS, 10, 20, 1.5, 0.5, UNREADY)


def test_a_workers_hello_survives_the_wire() -> None:
    assert hello.decode_worker_hello(hello.encode_worker_hello(HELLO)) == HELLO


def test_a_gateways_hello_survives_the_wire() -> None:
    assert hello.decode_gateway_hello(hello.encode_gateway_hello("h:1")).called == "h:1"


def test_another_version_is_refused_and_both_are_named() -> None:
    for body, read in (
        (hello.encode_worker_hello(HELLO), hello.decode_worker_hello),
        (hello.encode_gateway_hello("h:1"), hello.decode_gateway_hello),
    ):
        other = json.dumps(json.loads(body) | {"link": 3}).encode()
        with pytest.raises(LinkError, match="version 3 of the link, this one 2"):
            read(other)


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff", b'{"link": "1"}'])
def test_what_is_no_hello_is_a_link_error(body: bytes) -> None:
    for read in (hello.decode_worker_hello, hello.decode_gateway_hello):
        with pytest.raises(LinkError, match="cannot be read"):
            read(body)


def test_an_unknown_type_is_a_link_error() -> None:
    body = hello.encode_worker_hello(HELLO).replace(b"FP32", b"FP99")
    with pytest.raises(LinkError, match="cannot be read"):
        hello.decode_worker_hello(body)


@given(st.binary(max_size=60) | st.text('{}[]",:0linkcalednodemo\\u', max_size=60).map(str.encode))
def test_garbage_is_a_link_error_and_nothing_else(body: bytes) -> None:
    for read in (hello.decode_worker_hello, hello.decode_gateway_hello):
        with pytest.raises(LinkError):
            read(body)


@pytest.mark.parametrize("start", [b"[", b'{"a":', b'{"link":2,"called":"h","more":'])
def test_brackets_without_end_are_a_link_error(start: bytes) -> None:
    for read in (hello.decode_worker_hello, hello.decode_gateway_hello):
        with pytest.raises(LinkError, match="cannot be read"):
            read(start + b"[" * 100_000)


def test_a_field_of_a_later_version_is_passed_over() -> None:
    body = json.dumps(json.loads(hello.encode_worker_hello(HELLO)) | {"colour": [1]}).encode()
    assert hello.decode_worker_hello(body) == HELLO


@pytest.mark.parametrize("field", ["link", "node_id", "incarnation", "credit_items", "offers"])
def test_a_hello_that_lacks_a_field_names_it(field: str) -> None:
    said = json.loads(hello.encode_worker_hello(HELLO))
    del said[field]
    with pytest.raises(LinkError, match=field):
        hello.decode_worker_hello(json.dumps(said).encode())


def test_the_bytes_of_a_gateways_hello_are_pinned() -> None:
    assert hello.encode_gateway_hello("h:1") == b'{"link":2,"called":"h:1"}'


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (b'"credit_items":10', b'"credit_items":-1'),
        (b'"credit_bytes":20', b'"credit_bytes":-1'),
        (b'"slowest_run_s":0.5', b'"slowest_run_s":-0.5'),
        (b'"number":7', b'"number":1'),
        (b'"number":7', b'"number":65536'),
        (b'"max_batch":32', b'"max_batch":0'),
        (b"null,3", b"null,-3"),
        (b"null,3", b",".join([b"1"] * 33)),
    ],
)
def test_a_worker_that_says_what_cannot_be_is_not_believed(right: bytes, wrong: bytes) -> None:
    said = hello.encode_worker_hello(HELLO)
    assert right in said
    with pytest.raises(LinkError, match=r"cannot be read|under one number"):
        hello.decode_worker_hello(said.replace(right, wrong))


def test_a_name_longer_than_any_is_refused() -> None:
    with pytest.raises(LinkError, match="cannot be read"):
        hello.decode_gateway_hello(hello.encode_gateway_hello("x" * 301))


def test_a_list_of_models_survives_the_wire_and_may_be_empty() -> None:
    assert hello.decode_models(hello.encode_models(OFFERS, UNREADY)) == (OFFERS, UNREADY)
    assert hello.decode_models(hello.encode_models([])) == ((), ())


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b'{"offers":[{}]}', b"[" * 100_000])
def test_what_is_no_list_of_models_is_a_link_error(body: bytes) -> None:
    with pytest.raises(LinkError, match="cannot be read"):
        hello.decode_models(body)
