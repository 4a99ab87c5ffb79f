"""A fixed batch of 1 is made free where that changes no answer, and left where it would."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from ringserve.core.signature import Signature, TensorLayout
from ringserve.core.tensor import DType
from ringserve.engine import free_batch, loading
from ringserve.engine.arrays import Array
from ringserve.engine.model_file import ModelFile
from ringserve.engine.session import Engine, Wish
from ringserve.errors import UsageError
from tests.support import models

CHANCE = np.random.default_rng(5)
FLOAT = TensorProto.FLOAT
Build = Callable[[Path], Path]


def build(
    *nodes: NodeProto, item: Sequence[int] = (4,), out: Sequence[int] = (4,), **weights: object
) -> Build:
    """A model from x [1, *item] to y [1, *out]."""

    def save(path: Path) -> Path:
        inits = [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()]
        x = helper.make_tensor_value_info("x", FLOAT, [1, *item])
        y = helper.make_tensor_value_info("y", FLOAT, [1, *out])
        graph = helper.make_graph(list(nodes), "g", [x], [y], inits)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 8
        onnx.save(onnx.shape_inference.infer_shapes(model), path)
        return path

    return save


def node(op: str, inputs: str, outputs: str, **more: Any) -> NodeProto:  # noqa: ANN401 - each operator takes others
    return helper.make_node(op, inputs.split(), outputs.split(), **more)


def drawn(*shape: int) -> Array:
    return CHANCE.standard_normal(shape).astype(np.float32)


def ints(*numbers: int) -> Array:
    return np.array(numbers, np.int64)


def load(path: Path, *, batching: str = "auto", free: bool = True) -> tuple[Engine, list[str]]:
    said: list[str] = []
    engine = Engine.load(
        path,
        provider="cpu",
        batching=batching,
        max_batch=8,
        threads=1,
        say=said.append,
        wish=Wish(free_batch=free),
    )
    return engine, said


CONV = build(
    node("Conv", "x k", "c", pads=[1, 1, 1, 1]),
    node("Relu", "c", "r"),
    node("Reshape", "r flat", "f"),
    node("Gemm", "f w", "y"),
    item=(2, 6, 6),
    out=(3,),
    k=drawn(4, 2, 3, 3),
    flat=ints(1, 144),
    w=drawn(144, 3),
)
HEADS = build(
    node("Reshape", "x split", "s"),
    node("Transpose", "s", "t", perm=[0, 2, 1, 3]),
    node("Reshape", "t merged", "m"),
    node("MatMul", "m w", "p"),
    node("Reshape", "p back", "y"),
    item=(5, 8),
    out=(2, 5, 4),
    split=ints(1, 5, 2, 4),
    merged=ints(2, 5, 4),
    back=ints(1, 2, 5, 4),
    w=drawn(4, 4),
)
LEFT_OVER = build(
    node("Reshape", "x flat", "f"), node("MatMul", "f w", "y"), item=(2, 3), flat=ints(1, -1), w=drawn(6, 4)
)
CONSTANT_NODES = build(
    node("Constant", "", "flat", value=numpy_helper.from_array(ints(1, 6))),
    node("Constant", "", "back", value_ints=[1, 3, 2]),
    node("Reshape", "x flat", "f"),
    node("Sigmoid", "f", "s"),
    node("Reshape", "s back", "y"),
    item=(2, 3),
    out=(3, 2),
)
OF_A_WEIGHT = build(
    node("Reshape", "b row", "r"),
    node("Add", "x r", "y"),
    item=(4, 2),
    out=(4, 2),
    b=drawn(4),
    row=ints(1, -1, 1),
)
SHARED = build(
    node("Reshape", "x to", "f"),
    node("Expand", "w to", "e"),
    node("Add", "f e", "y"),
    item=(2, 2),
    to=ints(1, 4),
    w=drawn(1, 4),
)


@pytest.mark.parametrize(
    "make", [models.fixed_batch_one, CONV, HEADS, LEFT_OVER, CONSTANT_NODES, OF_A_WEIGHT, SHARED]
)
def test_rows_together_give_what_the_model_as_it_is_gives_each(tmp_path: Path, make: Build) -> None:
    path = make(tmp_path / "net.onnx")
    engine, said = load(path)
    assert said[0].startswith("model 'net': its fixed batch of 1 was made free, which changes no answer")
    assert (engine.spec.batching, engine.spec.max_batch) == (True, 8)
    given, item = engine.spec.inputs[0], engine.spec.inputs[0].shape[1:]
    assert given.shape[0] == engine.spec.outputs[0].shape[0] == "batch"
    rows = drawn(7, *item)  # type: ignore[arg-type]
    signature = Signature("net", "", (TensorLayout("x", DType.FP32, rows.shape),))
    got = engine.run(signature, [rows.tobytes()])[0]
    session = onnxruntime.InferenceSession(path)
    right = np.concatenate([session.run(None, {"x": row[None]})[0] for row in rows])
    assert got.layout.outputs[0].shape == right.shape
    assert np.allclose(np.frombuffer(got.payload, "<f4").reshape(right.shape), right, 1e-4, 1e-5)
    assert engine.spec.digest == load(path, free=False)[0].spec.digest


@pytest.mark.parametrize(
    ("make", "flaw"),
    [
        (
            build(node("DynamicQuantizeLinear", "x", "q s z"), node("DequantizeLinear", "q s z", "y")),
            "its output 'y' for one row depends on the other rows of a batch of 2",
        ),
        (
            build(node("CumSum", "x axis", "y"), axis=np.array(0, np.int64)),
            "its output 'y' for one row depends on the other rows of a batch of 2",
        ),
        (
            build(
                node("Gather", "x first", "g", axis=0),
                node("Unsqueeze", "g axes", "y"),
                first=np.array(0),
                axes=ints(0),
            ),
            "its output 'y' has the shape [1, 4] for 2 rows",
        ),
        (
            build(
                node("Concat", "x token", "c", axis=1),
                node("MatMul", "c w", "y"),
                token=drawn(1, 2),
                w=drawn(6, 4),
            ),
            "it fails on 2 rows together",
        ),
        (build(node("Reshape", "x turned", "t"), node("MatMul", "t w", "s"), node("Transpose", "s", "y"),
               turned=ints(4, 1), w=drawn(1, 1), out=(4,)), "its output 'y' has the shape [1, 8] for 2 rows"),
        (build(node("Squeeze", "x axes", "s"), node("Unsqueeze", "s axes", "y"), axes=ints(0)), ""),
    ],
)  # fmt: skip
def test_what_needs_its_batch_of_one_is_served_as_it_is_and_one_line_says_why(
    tmp_path: Path, make: Build, flaw: str
) -> None:
    engine, (said,) = load(make(tmp_path / "net.onnx"))
    why = "model 'net' runs item by item: its batch is fixed at 1, and with a free one "
    assert said.startswith(f"{why}{flaw}")
    assert (engine.spec.batching, engine.spec.max_batch, engine.rows_max, engine.slots) == (False, 1, 1, 2)
    assert engine.spec.inputs[0].shape[0] == 1


@pytest.mark.parametrize(("batching", "free"), [("on", True), ("auto", False), ("off", True), ("on", False)])
def test_it_is_always_proved_and_never_done_where_nobody_wants_it(
    tmp_path: Path, batching: str, free: bool
) -> None:
    quantised = build(node("DynamicQuantizeLinear", "x", "q s z"), node("DequantizeLinear", "q s z", "y"))
    for make, proved in ((models.fixed_batch_one, True), (quantised, False)):
        engine, said = load(make(tmp_path / "net.onnx"), batching=batching, free=free)
        assert engine.spec.batching is (free and proved and batching != "off")
        assert len(said) == (batching != "off")


def test_items_that_gain_nothing_by_company_run_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "_GAIN_MIN", 0.0)
    engine, (said,) = load(models.fixed_batch_one(tmp_path / "net.onnx"))
    assert "but items run one by one, since together they take no less time" in said
    assert (engine.spec.batching, engine.spec.max_batch) == (True, 8)
    assert (engine.rows_max, engine.slots, engine.full_batch_s) == (1, 2, engine.single_run_s)


def test_files_that_are_not_looked_into_stay_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = models.fixed_batch_one(tmp_path / "net.onnx")
    beside = tmp_path / "beside.onnx"
    onnx.save(onnx.load(path), beside, save_as_external_data=True, location="weights.bin", size_threshold=0)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "own.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    for other in (beside, tmp_path / "own.ort"):
        engine, said = load(other)
        assert not engine.spec.batching
        assert said[-1].endswith("runs item by item: its input 'x' has a fixed batch of 1")
    monkeypatch.setattr(free_batch, "COPY_BYTES_MAX", 100)
    assert not load(path)[0].spec.batching


def test_a_slow_model_is_not_kept_from_serving_by_a_proof(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "_SLOW_ITEM_S", 0.0)
    engine, (said,) = load(models.fixed_batch_one(tmp_path / "net.onnx"))
    assert (engine.spec.batching, said[-26:]) == (False, "'x' has a fixed batch of 1")


def test_a_file_that_changes_while_it_is_copied_is_not_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = models.fixed_batch_one(tmp_path / "net.onnx")

    def copy_late(file: ModelFile, symbols: Collection[str]) -> bytes | None:
        copy = free_batch.free_copy(file, symbols)
        CONV(path)
        return copy

    monkeypatch.setattr(loading, "free_copy", copy_late)
    with pytest.raises(UsageError, match="changed while it was being loaded"):
        load(path)


def test_weights_among_the_inputs_and_a_dimension_called_batch_stay_what_they_are(tmp_path: Path) -> None:
    path = models.fixed_batch_one(tmp_path / "net.onnx")
    model = onnx.load(path)
    weights = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    model.graph.input.extend(
        helper.make_tensor_value_info(name, FLOAT, dims) for name, dims in weights.items()
    )
    row = helper.make_tensor_value_info("scale", FLOAT, [1, "batch"])
    model.graph.input.append(row)
    model.graph.node.append(node("Mul", "scale scale", "z"))
    model.graph.output.append(helper.make_tensor_value_info("z", FLOAT, [1, "batch"]))
    onnx.save(model, path)
    engine, _ = load(path)
    assert [tensor.shape for tensor in engine.spec.inputs] == [("batch1", 4), ("batch1", "batch")]
    changed = onnx.load_from_string(free_batch.free_batch(memoryview(path.read_bytes()), "n"))
    kept = [value for value in changed.graph.input if value.name in weights]
    assert kept == [value for value in model.graph.input if value.name in weights]


def test_a_reshape_that_takes_zero_for_zero_is_left(tmp_path: Path) -> None:
    make = build(node("Reshape", "x to", "y", allowzero=1), item=(2, 2), to=ints(1, 4))
    path = make(tmp_path / "net.onnx")
    changed = onnx.load_from_string(free_batch.free_batch(memoryview(path.read_bytes()), "n"))
    assert list(changed.graph.node) == list(onnx.load(path).graph.node)
    assert [tensor.name for tensor in changed.graph.initializer] == ["to"]
    assert not changed.graph.value_info


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no wire type|Protocol Buffers"):
        free_batch.free_batch(memoryview(b"\xff\xff\xff"), "n")
