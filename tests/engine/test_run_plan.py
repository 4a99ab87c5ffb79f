"""Bytes in, bytes out: what a batch gives each request is what onnxruntime gives it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from ringserve.core.signature import Result, Signature, TensorLayout
from ringserve.core.tensor import DType, TensorSpec
from ringserve.engine.arrays import Array
from ringserve.engine.run_plan import RunPlan
from ringserve.engine.runtime import CPU, Argument, Runtime, Session
from ringserve.engine.specs import read_outputs
from ringserve.errors import ModelFailed
from tests.support import models

FP32 = DType.FP32
GENERATOR = np.random.default_rng(0)


def plan_for(
    path: Path, *layouts: TensorLayout, outputs: tuple[str, ...] = (), batching: bool = True
) -> tuple[RunPlan, Session]:
    session = Runtime().open(path, [CPU], 1)
    served = read_outputs(session, "m", lambda _: None)
    return RunPlan(session, served, Signature("m", "", layouts, outputs), batching=batching), session


def rows(*shape: int) -> Array:
    return GENERATOR.standard_normal(shape).astype(np.float32)


def arrays_of(result: Result) -> list[Array]:
    """Read an answer as its layout says, and check that nothing is left over."""
    arrays, at = [], 0
    for layout in result.layout.outputs:
        block = result.payload[at : at + layout.byte_size]
        arrays.append(np.frombuffer(block, layout.dtype.numpy).reshape(layout.shape))
        at += layout.byte_size
    assert at == len(result.payload)
    return arrays


@pytest.mark.parametrize("count", [1, 2, 3, 32])
@pytest.mark.parametrize("each", [1, 3])
def test_each_request_gets_its_own_rows(tmp_path: Path, count: int, each: int) -> None:
    plan, session = plan_for(models.mlp(tmp_path / "m.onnx"), TensorLayout("x", FP32, (each, 64)))
    inputs = [rows(each, 64) for _ in range(count)]
    for _ in range(2):  # the second time from what was remembered
        results = plan.run([array.tobytes() for array in inputs])
        expected = session.run(["y"], {"x": np.concatenate(inputs)})[0].reshape(count, each, 10)
        assert len(results) == count
        assert all(np.array_equal(arrays_of(r)[0], y) for r, y in zip(results, expected, strict=True))
        assert results[0].layout is results[-1].layout


def test_requests_with_several_inputs_are_joined_input_by_input(tmp_path: Path) -> None:
    layouts = [TensorLayout("a", FP32, (1, 4)), TensorLayout("b", FP32, (1, 3))]
    plan, session = plan_for(models.two_inputs(tmp_path / "m.onnx"), *layouts)
    pairs = [(rows(1, 4), rows(1, 3)) for _ in range(3)]
    results = plan.run([a.tobytes() + b.tobytes() for a, b in pairs])
    feed = {"a": np.concatenate([a for a, _ in pairs]), "b": np.concatenate([b for _, b in pairs])}
    assert np.array_equal([arrays_of(result)[0][0] for result in results], session.run(["y"], feed)[0])
    assert np.allclose(
        arrays_of(plan.run([pairs[0][0].tobytes() + pairs[0][1].tobytes()])[0])[0], arrays_of(results[0])[0]
    )


@pytest.mark.parametrize("outputs", [(), ("z", "y"), ("z",)])
def test_outputs_come_in_the_order_asked_for(tmp_path: Path, outputs: tuple[str, ...]) -> None:
    path = models.two_outputs(tmp_path / "m.onnx")
    plan, session = plan_for(path, TensorLayout("x", FP32, (1, 4)), outputs=outputs)
    inputs = [rows(1, 4) for _ in range(3)]
    results = plan.run([array.tobytes() for array in inputs])
    names = list(outputs or ("y", "z"))
    expected = session.run(names, {"x": np.concatenate(inputs)})
    for item, result in enumerate(results):
        assert [layout.name for layout in result.layout.outputs] == names
        for array, whole in zip(arrays_of(result), expected, strict=True):
            assert np.array_equal(array, whole[item : item + 1])


def test_an_item_may_be_a_single_number(tmp_path: Path) -> None:
    plan, _ = plan_for(models.scalar_items(tmp_path / "m.onnx"), TensorLayout("x", FP32, (1,)))
    results = plan.run([np.float32(number).tobytes() for number in (1, 2, 3)])
    assert [float(arrays_of(result)[0][0]) for result in results] == [2.0, 4.0, 6.0]


def test_without_batching_each_request_runs_alone_and_keeps_its_outputs_shape(tmp_path: Path) -> None:
    path = models.no_batch_axis(tmp_path / "m.onnx")
    plan, _ = plan_for(path, TensorLayout("x", FP32, (3, 4)), batching=False)
    results = plan.run([rows(3, 4).tobytes() for _ in range(2)])
    assert [result.layout.outputs[0].shape for result in results] == [(3, 2), (3, 2)]


def test_a_scalar_needs_no_axis(tmp_path: Path) -> None:
    plan, _ = plan_for(models.scalar_input(tmp_path / "m.onnx"), TensorLayout("x", FP32, ()), batching=False)
    (result,) = plan.run([np.float32(4).tobytes()])
    assert arrays_of(result)[0] == np.float32(8)
    assert result.layout.outputs[0].shape == ()


def test_a_failed_run_tells_why_in_one_sentence(tmp_path: Path) -> None:
    plan, _ = plan_for(models.failing_on_value(tmp_path / "m.onnx"), TensorLayout("x", FP32, (1, 4)))
    good, bad = rows(1, 4).tobytes(), np.full((1, 4), models.FAILING_VALUE, np.float32).tobytes()
    with pytest.raises(ModelFailed) as caught:
        plan.run([good, bad])
    assert caught.value.message.startswith("the model failed: Gather: indices element out of data bounds")
    assert "\n" not in caught.value.message
    assert len(plan.run([good, good])) == 2


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


def test_an_answer_without_a_row_for_each_row_is_never_split(tmp_path: Path) -> None:
    layout = TensorLayout("x", FP32, (1, 4))
    session = Fixed(np.zeros((4, 2), np.float32))
    plan = RunPlan(session, [TensorSpec("y", FP32, ("N", 2))], Signature("m", "", (layout,)), batching=True)
    one = rows(1, 4).tobytes()
    assert len(plan.run([one] * 4)) == 4
    # The same shape comes again, and would cut into four: but two went in.
    with pytest.raises(ModelFailed, match=r"'y' has the shape \[4, 2\] for 2 rows: .*--batching off"):
        plan.run([one] * 2)
    session.answer = np.zeros((), np.float32)
    with pytest.raises(ModelFailed, match=r"has the shape \[\] for 1 rows"):
        plan.run([one])


def test_empty_outputs_are_split_too(tmp_path: Path) -> None:
    layout = TensorLayout("x", FP32, (1, 4))
    session = Fixed(np.zeros((3, 0), np.float32))
    plan = RunPlan(session, [TensorSpec("y", FP32, ("N", 0))], Signature("m", "", (layout,)), batching=True)
    assert [result.payload for result in plan.run([rows(1, 4).tobytes()] * 3)] == [b"", b"", b""]


def test_answers_of_ever_new_shapes_are_not_remembered_for_ever(tmp_path: Path) -> None:
    session = Fixed(np.zeros((1, 1), np.float32))
    signature = Signature("m", "", (TensorLayout("x", FP32, (1, 4)),))
    plan = RunPlan(session, [TensorSpec("y", FP32, ("N", None))], signature, batching=False)
    one = rows(1, 4).tobytes()
    for width in range(600):
        session.answer = np.zeros((1, width), np.float32)
        assert plan.run([one])[0].layout.outputs[0].shape == (1, width)
    assert len(plan._answers) <= 256
