"""Requests of different numbers of rows in one run: each gets what onnxruntime gives it alone."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from ringserve.core.byte_strings import join, split
from ringserve.core.signature import Result, Signature, TensorLayout
from ringserve.core.tensor import DType, TensorSpec
from ringserve.engine.arrays import Array
from ringserve.engine.mixed_plan import MixedPlan
from ringserve.engine.runtime import CPU, Argument, Runtime, Session
from ringserve.engine.specs import read_outputs
from ringserve.errors import ModelFailed
from tests.support import models

CHANCE = np.random.default_rng(3)
ROWS = (1, 3, 1, 2, 7)


def open_model(path: Path) -> Session:
    return Runtime().open(path, [CPU], 1)


def drawn(kind: DType, *shape: int) -> Array:
    if kind is DType.BYTES:
        return np.array([f"é{number}" * (number % 3) for number in CHANCE.integers(0, 9, shape).flat], object)
    return CHANCE.standard_normal(shape).astype(np.float32)


def payload_of(*arrays: Array) -> bytes:
    return b"".join(
        join([str(text).encode() for text in array.flat]) if array.dtype == object else array.tobytes()
        for array in arrays
    )


def arrays_of(result: Result) -> list[Array]:
    """Read an answer as its layout says, and check that nothing is left over."""
    arrays, at = [], 0
    for layout in result.layout.outputs:
        if layout.dtype is DType.BYTES:
            texts = split(result.payload, at, int(np.prod(layout.shape)))
            arrays.append(np.array([text.decode() for text in texts], object).reshape(layout.shape))
            at += len(join(texts))
        else:
            block = result.payload[at : at + layout.byte_size]
            arrays.append(np.frombuffer(block, layout.dtype.numpy).reshape(layout.shape))
            at += layout.byte_size
    assert at == len(result.payload)
    return arrays


@pytest.mark.parametrize(
    ("build", "inputs", "asked"),
    [
        (models.mlp, {"x": (DType.FP32, 64)}, ()),
        (models.two_inputs, {"a": (DType.FP32, 4), "b": (DType.FP32, 3)}, ()),
        (models.two_outputs, {"x": (DType.FP32, 4)}, ("z", "y")),
        (models.two_outputs, {"x": (DType.FP32, 4)}, ("z",)),
        (models.strings, {"x": (DType.BYTES, 4)}, ()),
    ],
)
def test_each_request_gets_its_own_rows(
    tmp_path: Path, build: models.Builder, inputs: dict[str, tuple[DType, int]], asked: tuple[str, ...]
) -> None:
    session = open_model(build(tmp_path / "m.onnx"))
    served = read_outputs(session, "m", lambda _: None)
    signatures = [
        Signature("m", "", tuple(TensorLayout(n, kind, (r, w)) for n, (kind, w) in inputs.items()), asked)
        for r in ROWS
    ]
    plan = MixedPlan(session, served, signatures[0])
    results: list[Result] = []
    for _ in range(2):  # the second time from what was remembered
        feeds = [
            {name: drawn(kind, rows, width).reshape(rows, width) for name, (kind, width) in inputs.items()}
            for rows in ROWS
        ]
        results = plan.run(signatures, [payload_of(*feed.values()) for feed in feeds])
        names = list(asked) or [spec.name for spec in served]
        for feed, result in zip(feeds, results, strict=True):
            assert [layout.name for layout in result.layout.outputs] == names
            for got, right in zip(arrays_of(result), session.run(names, feed), strict=True):
                assert got.shape == right.shape
                assert np.array_equal(got, right) if right.dtype == object else np.allclose(got, right, 1e-4)
    assert results[0].layout is results[2].layout
    assert results[0].layout is not results[1].layout


class Fixed:
    """A session that answers with the array it was given, whatever goes in."""

    def __init__(self, answer: Array) -> None:
        self.answer = answer

    def run(self, _: Sequence[str], __: dict[str, Array]) -> list[Array]:
        return [self.answer]

    def get_inputs(self) -> list[Argument]:
        return []

    get_outputs = get_inputs

    def get_providers(self) -> list[str]:
        return []


def shape_of(rows: int) -> Signature:
    return Signature("m", "", (TensorLayout("x", DType.FP32, (rows, 4)),))


def test_an_answer_without_a_row_for_each_row_is_never_split() -> None:
    session = Fixed(np.zeros((4, 2), np.float32))
    plan = MixedPlan(session, [TensorSpec("y", DType.FP32, ("N", 2))], shape_of(1))
    with pytest.raises(ModelFailed, match=r"'y' has the shape \[4, 2\] for 3 rows: .*--batching off"):
        plan.run([shape_of(1), shape_of(2)], [bytes(16), bytes(32)])


def test_a_failed_run_tells_why_in_one_sentence(tmp_path: Path) -> None:
    session = open_model(models.failing_on_value(tmp_path / "m.onnx"))
    plan = MixedPlan(session, read_outputs(session, "m", lambda _: None), shape_of(1))
    bad = np.full((2, 4), models.FAILING_VALUE, np.float32)
    with pytest.raises(ModelFailed, match=r"^the model failed: Gather: indices element out of data bounds"):
        plan.run([shape_of(1), shape_of(2)], [bytes(16), bad.tobytes()])


def test_answers_of_ever_new_shapes_are_not_remembered_for_ever() -> None:
    session = Fixed(np.zeros((3, 1), np.float32))
    plan = MixedPlan(session, [TensorSpec("y", DType.FP32, ("N", None))], shape_of(1))
    for width in range(1200):
        session.answer = np.zeros((3, width), np.float32)
        first, second = plan.run([shape_of(1), shape_of(2)], [bytes(16), bytes(32)])
        assert (first.layout.outputs[0].shape, second.layout.outputs[0].shape) == ((1, width), (2, width))
    assert len(plan._layouts) <= 1024
