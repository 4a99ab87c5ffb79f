from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringserve.core.signature import KEY_SIZE, ResultLayout, Signature, TensorLayout, salt_of
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


@given(st.lists(layouts, min_size=1, max_size=3).map(tuple))
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


@pytest.mark.parametrize("shape", [[2**26 + 1], [2**20, 2**20], [2**20, 0, 2**20], [0, 2**27]])
def test_a_tensor_declared_larger_than_any_may_be_is_refused_though_it_is_empty(shape: list[int]) -> None:
    row = ["x", "FP32", shape]
    for encoded in (["m", "", [row], []], [[row]]):
        with pytest.raises(ValueError, match=r"is not a list of sizes|too many elements"):
            (Signature if len(encoded) == 4 else ResultLayout).decode(json.dumps(encoded).encode())


def test_an_answer_without_outputs_is_refused() -> None:
    with pytest.raises(ValueError, match="one at least"):
        ResultLayout.decode(b"[[]]")


def test_the_size_of_an_answer_follows_from_its_layout() -> None:
    tensor, text = TensorLayout("y", DType.FP32, (2, 3)), TensorLayout("z", DType.BYTES, (1,))
    assert ResultLayout((tensor, tensor)).payload_size == 48
    assert ResultLayout((tensor, text)).payload_size == -1


@given(signatures, st.binary(max_size=40), st.text(max_size=8), st.text(max_size=8))
def test_a_salt_sets_callers_apart_and_leaves_the_others_alone(
    signature: Signature, payload: bytes, one: str, other: str
) -> None:
    plain, own = signature.digest(payload), signature.digest(payload, salt_of(one))
    assert len(own) == KEY_SIZE
    assert own != plain
    assert (own == signature.digest(payload, salt_of(other))) == (one == other)
