from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringserve.core.signature import ResultLayout, Signature, TensorLayout
from ringserve.core.tensor import DType

layouts = st.builds(
    TensorLayout,
    st.text(max_size=8),
    st.sampled_from(list(DType)),
    st.lists(st.integers(0, 64), max_size=4).map(tuple),
)
signatures = st.builds(
    Signature,
    st.text(max_size=8),
    st.text(max_size=3),
    st.lists(layouts, max_size=3).map(tuple),
    st.lists(st.text(max_size=4), max_size=2).map(tuple),
)


@given(signatures)
def test_decode_gives_back_what_was_encoded(signature: Signature) -> None:
    again = Signature.decode(signature.encoded)
    assert again.encoded == signature.encoded
    assert (again.rows, again.payload_size) == (
        signature.rows,
        signature.payload_size,
    )


@given(st.lists(layouts, max_size=3).map(tuple))
def test_a_result_layout_survives_the_wire(outputs: tuple[TensorLayout, ...]) -> None:
    layout = ResultLayout(outputs)
    assert ResultLayout.decode(layout.encoded).encoded == layout.encoded


@given(st.binary(max_size=60))
def test_garbage_raises_value_error_and_nothing_else(data: bytes) -> None:
    for read in (Signature.decode, ResultLayout.decode):
        try:
            read(data)
        except ValueError:
            continue


@pytest.mark.parametrize(
    "encoded",
    [
        b"[1,2,3]",
        b'[1,"",[],[]]',
        b'["m","",5,[]]',
        b'["m","",[],[5]]',
        b'["m","",[5],[]]',
        b'["m","",[[1,"FP32",[1]]],[]]',
        b'["m","",[["x","FP32",[-1]]],[]]',
        b'["m","",[["x","FP32",[true]]],[]]',
        b'["m","",[["x","FP99",[1]]],[]]',
        b'["m","",[["x","FP32",[2147483648,2147483648]]],[]]',
        b"[" * 100_000,
    ],
)
def test_what_is_no_signature_is_refused(encoded: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Signature.decode(encoded)


def test_a_layout_lists_outputs() -> None:
    with pytest.raises(ValueError, match="lists its outputs"):
        ResultLayout.decode(b"[5]")


def test_requests_that_differ_in_anything_have_different_digests() -> None:
    one = Signature("m", "", (TensorLayout("x", DType.FP32, (1, 2)),))
    other = Signature("m", "", (TensorLayout("x", DType.FP32, (2, 1)),))
    assert one.digest(bytes(8)) != other.digest(bytes(8))
    assert one.digest(bytes(8)) != one.digest(bytes(7) + b"1")
    assert len(one.digest(bytes(8))) == 16


def test_the_digest_is_pinned_so_that_gateways_of_two_versions_agree() -> None:
    signature = Signature("m", "", (TensorLayout("x", DType.FP32, (1, 64)),))
    assert signature.digest(b"0" * 256).hex() == "a622921dd88058cddcc7a642cf123937"


def test_strings_leave_the_payload_size_open() -> None:
    assert Signature("m", "", (TensorLayout("x", DType.BYTES, (1,)),)).payload_size == -1
