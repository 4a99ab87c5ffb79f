from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringserve.core.byte_strings import find_ends, join, measure, split
from ringserve.core.signature import TensorLayout
from ringserve.core.tensor import DType

texts = st.lists(st.binary(max_size=20), max_size=8)


@given(texts, st.binary(max_size=9), st.binary(max_size=9))
def test_what_was_joined_is_measured_and_split_again(
    elements: list[bytes], before: bytes, after: bytes
) -> None:
    framed = join(elements)
    payload = before + framed + after
    end = len(before) + len(framed)
    assert measure(payload, len(before), len(elements)) == end
    assert measure(memoryview(payload), len(before), len(elements)) == end
    assert split(payload, len(before), len(elements)) == elements


def test_the_form_is_the_protocols() -> None:
    assert join([b"ab", b"", b"\xff"]) == b"\2\0\0\0ab\0\0\0\0\1\0\0\0\xff"


@given(texts.filter(bool), st.data())
def test_a_tensor_that_is_cut_short_is_refused_wherever_the_cut_is(
    elements: list[bytes], data: st.DataObject
) -> None:
    framed = join(elements)
    cut = framed[: data.draw(st.integers(0, len(framed) - 1))]
    with pytest.raises(ValueError, match=r"element"):
        measure(cut, 0, len(elements))


@given(st.binary(max_size=64), st.integers(0, 70), st.integers(0, 2**26))
def test_any_bytes_have_an_end_within_them_or_are_refused(data: bytes, start: int, count: int) -> None:
    try:
        end = measure(data, start, count)
    except ValueError:
        return
    assert count == 0 or start + 4 * count <= end <= len(data)
    assert len(join(split(data, start, count))) == end - start


@pytest.mark.parametrize(
    ("data", "count", "sentence"),
    [
        (b"", 1, "1 elements need 4 bytes for their lengths alone"),
        (b"\1\0\0\0a\0\0\0", 2, "the bytes end in the length of element 1 of 2"),
        (b"\5\0\0\0abc", 1, "element 0 of 1 says 5 bytes, of which the last 2 are missing"),
        (b"\xff\xff\xff\xff", 1, "says 4294967295 bytes"),
    ],
)
def test_the_sentence_says_what_is_missing(data: bytes, count: int, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        measure(data, 0, count)


LAYOUTS = (
    TensorLayout("a", DType.INT16, (2,)),
    TensorLayout("b", DType.BYTES, (1, 2)),
    TensorLayout("c", DType.FP32, ()),
    TensorLayout("d", DType.BYTES, (0, 3)),
)


def test_each_tensors_end_is_found() -> None:
    payload = struct.pack("<2h", 1, 2) + join([b"x", b"yz"]) + struct.pack("<f", 1)
    assert find_ends(LAYOUTS, payload) == [4, 15, 19, 19]


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        (b"\0\0", "tensor a needs 4 bytes, got 2"),
        (b"\0\0\0\0\1", "tensor b of type BYTES is framed wrongly: 2 elements need 8"),
        (b"\0\0\0\0" + join([b"", b""]) + b"\0", "tensor c needs 4 bytes, got 1"),
        (b"\0\0\0\0" + join([b"", b""]) + bytes(7), "there are 3 bytes after the last tensor"),
    ],
)
def test_too_few_and_too_many_bytes_are_told_by_the_tensors_name(payload: bytes, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        find_ends(LAYOUTS, payload)
