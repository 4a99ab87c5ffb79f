"""Models of every element type answer as onnxruntime called directly does, alone and together."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto

from ringserve.core.byte_strings import join
from ringserve.core.tensor import DType
from ringserve.engine.arrays import array_type, narrow_to_bfloat16, widen_bfloat16
from ringserve.engine.session import Engine
from ringserve.errors import BadRequest, UsageError
from tests.support import models, typed_models
from tests.support.tensors import arrays_of, request

Numbers = NDArray[Any]
ELEMENTS = {
    DType.BOOL: TensorProto.BOOL,
    DType.UINT8: TensorProto.UINT8,
    DType.UINT16: TensorProto.UINT16,
    DType.UINT32: TensorProto.UINT32,
    DType.UINT64: TensorProto.UINT64,
    DType.INT8: TensorProto.INT8,
    DType.INT16: TensorProto.INT16,
    DType.INT32: TensorProto.INT32,
    DType.INT64: TensorProto.INT64,
    DType.FP16: TensorProto.FLOAT16,
    DType.FP32: TensorProto.FLOAT,
    DType.FP64: TensorProto.DOUBLE,
    DType.BF16: TensorProto.BFLOAT16,
    DType.BYTES: TensorProto.STRING,
}
TEXTS = ["", "a", "Straße", "日本", "nul\0 inside", "x" * 300]


def load(path: Path, max_batch: int = 8) -> tuple[Engine, list[str]]:
    said: list[str] = []
    engine = Engine.load(
        path, provider="cpu", batching="auto", max_batch=max_batch, threads=1, say=said.append
    )
    return engine, said


def directly(path: Path, feed: dict[str, Numbers]) -> dict[str, Numbers]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [own.name for own in session.get_outputs()]
    return dict(zip(names, session.run(names, feed), strict=True))


def drawn(dtype: DType, shape: tuple[int, ...], seed: int) -> Numbers:
    generator = np.random.default_rng(seed)
    if dtype is DType.BYTES:
        return np.array(TEXTS, object)[generator.integers(0, len(TEXTS), shape)]
    bits = generator.integers(0, 2 if dtype is DType.BOOL else 256, (*shape, dtype.size), np.uint8)
    return bits.view(array_type(dtype)).reshape(shape)


def test_every_type_that_there_is_is_tried() -> None:
    assert set(ELEMENTS) == set(DType)


@pytest.mark.parametrize("dtype", DType)
def test_each_type_goes_in_and_comes_out_bit_by_bit(tmp_path: Path, dtype: DType) -> None:
    engine, said = load(typed_models.identity(tmp_path / "m.onnx", ELEMENTS[dtype], ["N", 3]))
    assert (engine.spec.inputs[0].dtype, engine.spec.outputs[0].dtype) == (dtype, dtype)
    assert (engine.spec.batching, said) == (True, [])
    for rows in (1, 2, 0):
        inputs = [drawn(dtype, (rows, 3), seed) for seed in range(4)]
        signature, payload = request(engine.spec, {"x": inputs[0]})
        assert engine.run(signature, [payload])[0].payload == payload
        payloads = [request(engine.spec, {"x": array})[1] for array in inputs]
        results = engine.run(signature, payloads)
        assert [result.payload for result in results] == payloads
        assert {result.layout.outputs[0].shape for result in results} == {(rows, 3)}


@pytest.mark.parametrize("dtype", DType)
def test_each_type_may_be_one_element_without_an_axis(tmp_path: Path, dtype: DType) -> None:
    engine, _ = load(typed_models.identity(tmp_path / "m.onnx", ELEMENTS[dtype], []))
    assert not engine.spec.batching
    signature, payload = request(engine.spec, {"x": drawn(dtype, (1,), 1).reshape(())})
    results = engine.run(signature, [payload, payload])
    assert [(result.layout.outputs[0].shape, result.payload) for result in results] == [((), payload)] * 2


def test_bfloats_are_computed_as_onnxruntime_computes_them(tmp_path: Path) -> None:
    engine, said = load(typed_models.bfloats(tmp_path / "m.onnx"))
    assert (engine.spec.batching, said) == (True, [])
    rows = [np.array([[number, -3 * number]], np.float32) for number in (0.5, 1.0, 2.0)]
    asked = [request(engine.spec, {"x": narrow_to_bfloat16(row)}) for row in rows]
    results = engine.run(asked[0][0], [payload for _, payload in asked])
    for row, result in zip(rows, results, strict=True):
        assert np.array_equal(widen_bfloat16(arrays_of(result)["y"]), 2 * row)


def test_strings_are_looked_up_as_onnxruntime_looks_them_up(tmp_path: Path) -> None:
    path = typed_models.colours(tmp_path / "m.onnx")
    engine, said = load(path)
    assert (engine.spec.batching, said) == (True, [])
    rows = [np.array([["red", "blue", "Rot"]], object), np.array([["green", "", "green"]], object)]
    asked = [request(engine.spec, {"x": row}) for row in rows]
    results = engine.run(asked[0][0], [payload for _, payload in asked])
    for row, result in zip(rows, results, strict=True):
        assert np.array_equal(arrays_of(result)["y"], directly(path, {"x": row})["y"])


def test_strings_beside_numbers_batch_and_outputs_come_in_the_order_asked_for(tmp_path: Path) -> None:
    path = typed_models.labels(tmp_path / "m.onnx")
    engine, said = load(path)
    assert (engine.spec.batching, said) == (True, [])
    generator = np.random.default_rng(3)
    feeds = [
        {
            "text": np.array(["red", "blue", "long text"], object)[generator.integers(0, 3, (2, 2))],
            "size": generator.standard_normal((2, 3)).astype(np.float32),
        }
        for _ in range(5)
    ]
    for outputs in ((), ("scores", "label"), ("label",), ("scores",)):
        asked = [request(engine.spec, feed, outputs) for feed in feeds]
        results = engine.run(asked[0][0], [payload for _, payload in asked])
        for feed, result in zip(feeds, results, strict=True):
            got, expected = arrays_of(result), directly(path, feed)
            assert tuple(got) == (outputs or ("label", "scores"))
            for name, array in got.items():
                if name == "label":
                    assert array.tolist() == expected[name].tolist()
                else:
                    assert np.allclose(array, expected[name], 1e-4, 1e-5)


def test_bytes_that_are_no_text_are_the_callers_mistake(tmp_path: Path) -> None:
    engine, _ = load(models.strings(tmp_path / "m.onnx"))
    texts = np.array([["a", "b", "c", "d"]], object)
    signature, payload = request(engine.spec, {"x": texts})
    with pytest.raises(BadRequest, match="input x: element 2 is no UTF-8"):
        engine.run(signature, [payload, join([b"a", b"b", b"\xff\xfe", b"d"])])


@pytest.mark.parametrize("rows", [1, 3])
def test_a_scalar_and_a_state_whose_batch_axis_is_another_run_alone(tmp_path: Path, rows: int) -> None:
    generator = np.random.default_rng(rows)
    x = generator.standard_normal((rows, 4)).astype(np.float32)
    cases: list[tuple[Path, dict[str, Numbers]]] = [
        (typed_models.scaled(tmp_path / "a.onnx"), {"x": x, "factor": np.array(-7, np.int64)}),
        (typed_models.states(tmp_path / "b.onnx"), {"x": x, "state": np.stack([x, 2 * x])}),
    ]
    for path, feed in cases:
        engine, said = load(path)
        assert not engine.spec.batching
        assert len(said) == 1
        signature, payload = request(engine.spec, feed)
        for result in engine.run(signature, [payload, payload]):
            expected = directly(path, feed)
            for name, array in arrays_of(result).items():
                assert array.dtype == expected[name].dtype
                assert np.array_equal(array, expected[name])


def test_a_model_that_takes_strings_and_gives_bfloats_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="takes strings and gives BF16; export its outputs as float32"):
        load(typed_models.strings_to_bfloats(tmp_path / "m.onnx"))
