from __future__ import annotations

import pytest

from ringserve.core.signature import Signature, TensorLayout
from ringserve.core.signatures import SIGNATURES_MAX, Signatures
from ringserve.core.tensor import DType, ModelSpec, TensorSpec
from ringserve.errors import BadRequest

SPEC = ModelSpec("m", "1", "d", (TensorSpec("x", DType.FP32, ("b", 4)),), (), True, 32, True, "cpu")


def signature(
    name: str = "x", dtype: DType = DType.FP32, shape: tuple[int, ...] = (1, 4), model: str = "m"
) -> Signature:
    return Signature(model, "", (TensorLayout(name, dtype, shape),))


def test_one_object_serves_all_requests_of_a_shape() -> None:
    table = Signatures(SPEC)
    assert table.find(signature().encoded) is table.find(signature().encoded)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (signature(name="y"), "takes the inputs"),
        (signature(dtype=DType.FP64), "takes FP32, got FP64"),
        (signature(shape=(1, 5)), r"shape \[b, 4\], got \[1, 5\]"),
        (signature(shape=(4,)), "shape"),
        (signature(model="n"), "serves m"),
    ],
)
def test_a_request_that_does_not_fit_is_told_why(wrong: Signature, sentence: str) -> None:
    with pytest.raises(BadRequest, match=sentence):
        Signatures(SPEC).find(wrong.encoded)


def test_garbage_is_a_bad_request() -> None:
    with pytest.raises(BadRequest, match="cannot be read"):
        Signatures(SPEC).find(b"garbage")


def test_the_table_is_bounded() -> None:
    table = Signatures(SPEC)
    for rows in range(SIGNATURES_MAX + 5):
        table.find(signature(shape=(rows, 4)).encoded)
    assert len(table._known) == SIGNATURES_MAX
