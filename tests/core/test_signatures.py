from __future__ import annotations

from dataclasses import replace

import pytest

from ringserve.core.signature import Signature, TensorLayout
from ringserve.core.signatures import SIGNATURES_MAX, Signatures, check
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
        (signature(name="y"), r"model m takes the inputs \['x'\], not 'y'; \['x'\] is missing"),
        (signature(dtype=DType.FP64), "takes FP32, got FP64"),
        (signature(shape=(1, 5)), r"shape \[b, 4\], got \[1, 5\]"),
        (signature(shape=(4,)), "shape"),
        (signature(model="n"), "serves m"),
    ],
)
def test_a_request_that_does_not_fit_is_told_why(wrong: Signature, sentence: str) -> None:
    with pytest.raises(BadRequest, match=sentence):
        Signatures(SPEC).find(wrong.encoded)


def test_a_dimension_too_many_is_the_likely_slip_where_none_counts_items() -> None:
    spec = replace(SPEC, inputs=(TensorSpec("x", DType.FP32, (3, 4)),), batching=False, max_batch=1)
    with pytest.raises(BadRequest, match=r"it has no dimension that counts items: send \[3, 4\]"):
        check(spec, signature(shape=(1, 3, 4)))


def test_garbage_is_a_bad_request() -> None:
    with pytest.raises(BadRequest, match="cannot be read"):
        Signatures(SPEC).find(b"garbage")


def test_the_table_is_bounded() -> None:
    table = Signatures(SPEC)
    for rows in range(SIGNATURES_MAX + 5):
        table.find(signature(shape=(rows, 4)).encoded)
    assert len(table._known) == SIGNATURES_MAX


BOTH = ModelSpec(
    "m",
    "1",
    "d",
    (TensorSpec("x", DType.FP32, ("b", 4)), TensorSpec("y", DType.INT64, ("b",))),
    (TensorSpec("z", DType.FP32, ("b",)),),
    True,
    32,
    True,
    "cpu",
)


def pair(x_rows: int, y_rows: int, outputs: tuple[str, ...] = (), version: str = "") -> Signature:
    x, y = TensorLayout("x", DType.FP32, (x_rows, 4)), TensorLayout("y", DType.INT64, (y_rows,))
    return Signature("m", version, (x, y), outputs)


def test_the_inputs_of_a_batched_model_have_equally_many_items() -> None:
    assert Signatures(BOTH).find(pair(2, 2).encoded).rows == 2
    with pytest.raises(BadRequest, match="equally many items"):
        Signatures(BOTH).find(pair(2, 3).encoded)


def test_what_may_not_run_apart_is_one_item_whatever_its_first_axis() -> None:
    apart = (BOTH.inputs[0], TensorSpec("y", DType.INT64, ("c",)))
    spec = replace(BOTH, inputs=apart, batching=False)
    assert Signatures(spec).find(pair(2, 3).encoded).rows == 1


def test_only_outputs_that_the_model_has_may_be_asked_for() -> None:
    assert Signatures(BOTH).find(pair(1, 1, ("z",)).encoded).outputs == ("z",)
    with pytest.raises(BadRequest, match=r"gives the outputs \['z'\], not \['w'\]"):
        Signatures(BOTH).find(pair(1, 1, ("w",)).encoded)


def test_another_version_is_refused_by_its_name() -> None:
    assert Signatures(BOTH).find(pair(1, 1, version="1").encoded).version == "1"
    with pytest.raises(BadRequest, match="serves m version 1, not m version 2"):
        Signatures(BOTH).find(pair(1, 1, version="2").encoded)


def test_bytes_that_mean_the_same_find_the_same_request_but_are_read_again() -> None:
    table = Signatures(SPEC)
    spaced = signature().encoded.replace(b",", b", ")
    assert table.find(spaced).encoded == signature().encoded
    assert set(table._known) == {signature().encoded}


def test_a_first_dimension_that_belongs_to_the_item_is_one_row() -> None:
    fixed = replace(SPEC, inputs=(TensorSpec("x", DType.FP32, (3, 4)),), batching=False)
    assert Signatures(fixed).find(signature(shape=(3, 4)).encoded).rows == 1


ONE_ITEM = replace(
    BOTH,
    inputs=(TensorSpec("x", DType.FP32, (1, 4)), TensorSpec("y", DType.INT64, (1,))),
    outputs=(TensorSpec("z", DType.FP32, (1,)),),
    batching=False,
    max_batch=1,
)


def test_a_model_that_takes_one_item_a_run_is_sent_any_number() -> None:
    assert Signatures(ONE_ITEM).find(pair(1, 1).encoded).rows == 1
    assert Signatures(ONE_ITEM).find(pair(7, 7).encoded).rows == 7
    with pytest.raises(BadRequest, match="equally many items"):
        Signatures(ONE_ITEM).find(pair(2, 3).encoded)
    with pytest.raises(BadRequest, match=r"input x has shape \[1, 4\], got \[0, 4\]"):
        Signatures(ONE_ITEM).find(pair(0, 0).encoded)
    with pytest.raises(BadRequest, match=r"input x has shape \[1, 4\], got \[2, 5\]"):
        check(ONE_ITEM, Signature("m", "", (TensorLayout("x", DType.FP32, (2, 5)), pair(2, 2).inputs[1])))


def test_one_item_a_run_must_be_what_all_tensors_say() -> None:
    for spec in (
        replace(ONE_ITEM, outputs=(TensorSpec("z", DType.FP32, (None,)),)),
        replace(ONE_ITEM, outputs=(TensorSpec("z", DType.FP32, ()),)),
        replace(ONE_ITEM, inputs=(ONE_ITEM.inputs[0], TensorSpec("y", DType.INT64, ("b",)))),
    ):
        assert not spec.takes_one_item
        with pytest.raises(BadRequest, match=r"input x has shape \[1, 4\], got \[2, 4\]"):
            check(spec, pair(2, 2))
    assert not replace(ONE_ITEM, batching=True).takes_one_item


def test_many_items_of_nothing_are_refused() -> None:
    """They cost no byte to send, and the model may make as many rows of answer of them."""
    spec = ModelSpec("m", "1", "d", (TensorSpec("x", DType.FP32, ("b", "n")),), (), True, 32, True, "cpu")
    encoded = Signature("m", "", (TensorLayout("x", DType.FP32, (2**20, 0)),)).encoded
    with pytest.raises(BadRequest, match="1048576 items of nothing"):
        Signatures(spec).find(encoded)
    for shape in ((1, 0), (0, 3), (2, 3)):
        Signatures(spec).find(Signature("m", "", (TensorLayout("x", DType.FP32, shape),)).encoded)


def test_an_empty_input_may_have_as_many_items_as_one_that_is_not() -> None:
    """The state of a decoder is empty at first, for each of its sentences."""
    state, words = (
        TensorSpec("state", DType.FP32, ("b", "past", 8)),
        TensorSpec("words", DType.INT64, ("b", "n")),
    )
    spec = ModelSpec("m", "1", "d", (state, words), (), True, 32, True, "cpu")

    def asked(rows: int, others: int) -> bytes:
        empty = TensorLayout("state", DType.FP32, (rows, 0, 8))
        return Signature("m", "", (empty, TensorLayout("words", DType.INT64, (others, 3)))).encoded

    assert Signatures(spec).find(asked(3, 3)).rows == 3
    with pytest.raises(BadRequest, match="4 items of nothing"):
        Signatures(replace(spec, batching=False)).find(asked(4, 3))
