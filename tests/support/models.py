"""Small ONNX models that tests serve, each with one property that matters.

Every builder writes one file and returns its path::

    path = models.mlp(tmp_path / "mlp.onnx")

| builder | input (N is the batch axis) | output | what it is for |
|---|---|---|---|
| `mlp` | x [N, 64] float | y [N, 10] | the ordinary case; `sizes` changes the layers |
| `mixes_rows` | x [N, 4] float | y [N, 4] | subtracts the batch's mean: rows see each other |
| `depends_on_batch_size` | x [N, 4] float | y [N, 4] | adds the number of rows |
| `quantised` | x [N, 4] float | y [N, 4] | dynamic int8 quantisation: one scale for the whole batch |
| `time_in_front` | x [T, 4] float | y [T, 4] | a running sum along the first axis |
| `fixed_batch_one` | x [1, 4] float | y [1, 2] | exported with a batch of 1 |
| `no_batch_axis` | x [3, 4] float | y [3, 2] | the first axis belongs to the item |
| `one_row_inside` | x [N, 4] float | y [M, 4] | promises M rows, reshapes to 1: fails for more |
| `slow` | x [N, 4] float | y [N, 4] | y = x after about `seconds` of one core |
| `failing_on_value` | x [N, 4] float | y [N, 4] | y = 2x; x[., 0] > 1e6 makes the run fail |
| `nan_output` | x [N, 4] float | y [N, 4] | y = log(x): NaN for negative numbers |
| `int64_tokens` | ids [N, seq] int64 | y [N, 8] | embeds 50 tokens; other ids make the run fail |
| `masked_tokens` | ids, mask [N, seq] int64 | y [N, 8] | two inputs of one symbol; the mask is 0 or 1 |
| `uint8_input` | x [N, 4] uint8 | y [N, 2] | small integers |
| `two_inputs` | a [N, 4], b [N, 3] float | y [N, 2] | cannot be described by `input_data` |
| `scalar_items` | x [N] float | y [N] | y = 2x; one item is one number |
| `scalar_input` | x [] float | y [] | y = 2x; no axis at all |
| `two_unknown_dims` | x [N, h, w] float | y [N, 2] | mean and maximum of an image |
| `image` | x [N, 3, h, w] float | y [N, 2] | needs at least 16 pixels a side |
| `random_normal` | x [N, 4] float | y [N, 4] | adds noise; `inside`: graph, if or function |
| `dropout` | x [N, 4] float | y [N, 4] | random when `training` is true |
| `integer_output` | x [N, 4] float | y [N] int64 | the class's number, with `scores` [N, 4] beside it |
| `two_outputs` | x [N, 4] float | y [N, 2], z [N, 3] | two outputs |
| `sequence_output` | x [N, 4] float | y [N, 4], parts: sequence | one output is no tensor |
| `strings` | x [N, 4] string | y [N, 4] string | text in and out |
| `external_data` | x [N, 64] float | y [N, 10] | weights in a file beside the model (`weights.bin`) |
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

OPSET = 17
FAILING_VALUE = 1e9
TOKENS = 50

FLOAT, INT64, UINT8, BOOL, STRING = (
    TensorProto.FLOAT,
    TensorProto.INT64,
    TensorProto.UINT8,
    TensorProto.BOOL,
    TensorProto.STRING,
)
Shape = list[int | str | None]
Builder = Callable[[Path], Path]


def mlp(path: Path, sizes: tuple[int, ...] = (64, 128, 10), seed: int = 0, batch: str = "batch") -> Path:
    """Fully connected layers with ReLU between them; outputs are raw scores."""
    return _save(path, _mlp_model(sizes, seed, batch))


def mixes_rows(path: Path) -> Path:
    """Subtract the mean over the batch: no row's answer is its own."""
    nodes = [_node("ReduceMean", ["x"], ["mean"], axes=[0], keepdims=1), _node("Sub", ["x", "mean"], ["y"])]
    return _build(path, nodes, [_float("x", ["N", 4])], [_float("y", ["N", 4])])


def depends_on_batch_size(path: Path) -> Path:
    """Add the number of rows to every element."""
    nodes = [
        _node("Shape", ["x"], ["shape"], start=0, end=1),
        _node("Cast", ["shape"], ["rows"], to=FLOAT),
        _node("Add", ["x", "rows"], ["y"]),
    ]
    return _build(path, nodes, [_float("x", ["N", 4])], [_float("y", ["N", 4])])


def quantised(path: Path) -> Path:
    """Quantise to 8 bits with one scale for all rows, as dynamic quantisation does."""
    nodes = [
        _node("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"]),
        _node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
    ]
    return _build(path, nodes, [_float("x", ["N", 4])], [_float("y", ["N", 4])])


def time_in_front(path: Path) -> Path:
    """Sum along the first axis, as a recurrent model does over time."""
    nodes = [_node("CumSum", ["x", "axis"], ["y"])]
    axis = {"axis": np.array(0, np.int64)}
    return _build(path, nodes, [_float("x", ["T", 4])], [_float("y", ["T", 4])], axis)


def fixed_batch_one(path: Path) -> Path:
    """Multiply one row by a matrix."""
    return _linear(path, [1, 4], [1, 2])


def no_batch_axis(path: Path) -> Path:
    """Multiply three rows that make up one item by a matrix."""
    return _linear(path, [3, 4], [3, 2])


def one_row_inside(path: Path) -> Path:
    """Reshape to one row whatever came, as careless exports do."""
    nodes = [_node("Reshape", ["x", "to"], ["y"])]
    to = {"to": np.array([1, 4], np.int64)}
    return _build(path, nodes, [_float("x", ["N", 4])], [_float("y", ["M", 4])], to)


def slow(path: Path, seconds: float) -> Path:
    """Loop over a matrix product for about `seconds` on one core, whatever the number of rows."""
    trips = 200
    took = _time_a_run(_loop(path, trips))
    return _loop(path, max(1, round(trips * seconds / took)))


def failing_on_value(path: Path) -> Path:
    """Double the input, but index out of range where the first number of a row exceeds a million."""
    nodes = [
        _node("Gather", ["x", "first"], ["head"], axis=1),
        _node("Greater", ["head", "limit"], ["above"]),
        _node("Cast", ["above"], ["index"], to=INT64),
        _node("Gather", ["table", "index"], ["nothing"]),
        _node("Add", ["x", "x"], ["twice"]),
        _node("Add", ["twice", "nothing"], ["y"]),
    ]
    constants: dict[str, np.ndarray] = {
        "first": np.array([0], np.int64),
        "limit": np.array(1e6, np.float32),
        "table": np.zeros(1, np.float32),
    }
    return _build(path, nodes, [_float("x", ["N", 4])], [_float("y", ["N", 4])], constants)


def nan_output(path: Path) -> Path:
    """Take the logarithm: NaN below zero, minus infinity at zero."""
    return _build(path, [_node("Log", ["x"], ["y"])], [_float("x", ["N", 4])], [_float("y", ["N", 4])])


def int64_tokens(path: Path) -> Path:
    """Embed each id and take the mean over the sequence."""
    nodes = [
        _node("Gather", ["table", "ids"], ["vectors"]),
        _node("ReduceMean", ["vectors"], ["y"], axes=[1], keepdims=0),
    ]
    inputs = [helper.make_tensor_value_info("ids", INT64, ["N", "seq"])]
    return _build(path, nodes, inputs, [_float("y", ["N", 8])], {"table": _weights(3, TOKENS, 8)})


def masked_tokens(path: Path) -> Path:
    """Embed ids, keep those whose mask is 1, and sum over the sequence; a mask above 1 fails."""
    nodes = [
        _node("Gather", ["table", "ids"], ["vectors"]),
        _node("Gather", ["switch", "mask"], ["kept"]),
        _node("Mul", ["vectors", "kept"], ["masked"]),
        _node("ReduceSum", ["masked", "axis"], ["y"], keepdims=0),
    ]
    inputs = [helper.make_tensor_value_info(name, INT64, ["N", "seq"]) for name in ("ids", "mask")]
    constants = {
        "table": _weights(3, TOKENS, 8),
        "switch": np.array([[0], [1]], np.float32),
        "axis": np.array([1], np.int64),
    }
    return _build(path, nodes, inputs, [_float("y", ["N", 8])], constants)


def uint8_input(path: Path) -> Path:
    """Multiply bytes by a matrix."""
    nodes = [_node("Cast", ["x"], ["f"], to=FLOAT), _node("MatMul", ["f", "w"], ["y"])]
    inputs = [helper.make_tensor_value_info("x", UINT8, ["N", 4])]
    return _build(path, nodes, inputs, [_float("y", ["N", 2])], {"w": _weights(4, 4, 2)})


def two_inputs(path: Path) -> Path:
    """Join two inputs and multiply by a matrix."""
    nodes = [_node("Concat", ["a", "b"], ["ab"], axis=1), _node("MatMul", ["ab", "w"], ["y"])]
    inputs = [_float("a", ["N", 4]), _float("b", ["N", 3])]
    return _build(path, nodes, inputs, [_float("y", ["N", 2])], {"w": _weights(5, 7, 2)})


def scalar_items(path: Path) -> Path:
    """Double one number an item."""
    return _build(path, [_node("Add", ["x", "x"], ["y"])], [_float("x", ["N"])], [_float("y", ["N"])])


def scalar_input(path: Path) -> Path:
    """Double a number without any axis."""
    return _build(path, [_node("Add", ["x", "x"], ["y"])], [_float("x", [])], [_float("y", [])])


def two_unknown_dims(path: Path) -> Path:
    """Mean and maximum of an image of any size."""
    nodes = [
        _node("ReduceMean", ["x"], ["mean"], axes=[1, 2], keepdims=0),
        _node("ReduceMax", ["x"], ["max"], axes=[1, 2], keepdims=0),
        _node("Unsqueeze", ["mean", "axis"], ["left"]),
        _node("Unsqueeze", ["max", "axis"], ["right"]),
        _node("Concat", ["left", "right"], ["y"], axis=1),
    ]
    axis = {"axis": np.array([1], np.int64)}
    return _build(path, nodes, [_float("x", ["N", "h", "w"])], [_float("y", ["N", 2])], axis)


def image(path: Path) -> Path:
    """Convolve an image with a 16 by 16 kernel and take the mean: smaller images fail."""
    nodes = [
        _node("Conv", ["x", "kernel"], ["c"]),
        _node("GlobalAveragePool", ["c"], ["p"]),
        _node("Flatten", ["p"], ["y"]),
    ]
    kernel = _weights(6, 2, 3 * 16 * 16).reshape(2, 3, 16, 16)
    return _build(path, nodes, [_float("x", ["N", 3, "h", "w"])], [_float("y", ["N", 2])], {"kernel": kernel})


def random_normal(path: Path, inside: str = "graph") -> Path:
    """Add noise, drawn in the main `graph`, in an `if` branch or in a local `function`."""
    noise = _node("RandomNormalLike", ["x"], ["noise"])
    if inside == "if":
        branch = helper.make_graph([noise], "branch", [], [_float("noise", ["N", 4])])
        noise = _node("If", ["yes"], ["noise"], then_branch=branch, else_branch=branch)
    if inside == "function":
        noise = _node("Noise", ["x"], ["noise"], domain="local")
    nodes = [noise, _node("Add", ["x", "noise"], ["y"])]
    constants = {"yes": np.array(1, np.bool_)} if inside == "if" else {}
    model = _model(nodes, [_float("x", ["N", 4])], [_float("y", ["N", 4])], constants)
    if inside == "function":
        body = [_node("RandomNormalLike", ["a"], ["b"])]
        opsets = [helper.make_opsetid("", OPSET)]
        model.functions.append(helper.make_function("local", "Noise", ["a"], ["b"], body, opsets))
        model.opset_import.append(helper.make_opsetid("local", 1))
    return _save(path, model)


def dropout(path: Path, training: bool | None) -> Path:
    """Dropout with `training_mode` given as a constant, or not given at all."""
    inputs = ["x", "ratio"] if training is None else ["x", "ratio", "training"]
    constants = {"ratio": np.array(0.5, np.float32)}
    if training is not None:
        constants["training"] = np.array(training, np.bool_)
    nodes = [_node("Dropout", inputs, ["y"])]
    return _build(path, nodes, [_float("x", ["N", 4])], [_float("y", ["N", 4])], constants)


def integer_output(path: Path) -> Path:
    """The number of the largest score, and the scores."""
    nodes = [_node("MatMul", ["x", "w"], ["scores"]), _node("ArgMax", ["scores"], ["y"], axis=1, keepdims=0)]
    outputs = [helper.make_tensor_value_info("y", INT64, ["N"]), _float("scores", ["N", 4])]
    return _build(path, nodes, [_float("x", ["N", 4])], outputs, {"w": _weights(7, 4, 4)})


def two_outputs(path: Path) -> Path:
    """Two products of one input."""
    nodes = [_node("MatMul", ["x", "v"], ["y"]), _node("MatMul", ["x", "w"], ["z"])]
    outputs = [_float("y", ["N", 2]), _float("z", ["N", 3])]
    return _build(
        path, nodes, [_float("x", ["N", 4])], outputs, {"v": _weights(8, 4, 2), "w": _weights(9, 4, 3)}
    )


def sequence_output(path: Path) -> Path:
    """One tensor, and a sequence of tensors."""
    nodes = [_node("Add", ["x", "x"], ["y"]), _node("SplitToSequence", ["x"], ["parts"], axis=1)]
    parts = helper.make_tensor_sequence_value_info("parts", FLOAT, None)
    return _build(path, nodes, [_float("x", ["N", 4])], [_float("y", ["N", 4]), parts])


def strings(path: Path) -> Path:
    """Pass text through."""
    inputs = [helper.make_tensor_value_info("x", STRING, ["N", 4])]
    outputs = [helper.make_tensor_value_info("y", STRING, ["N", 4])]
    return _build(path, [_node("Identity", ["x"], ["y"])], inputs, outputs)


def external_data(path: Path, seed: int = 0) -> Path:
    """`mlp` with its weights in `weights.bin` beside the model."""
    onnx.save_model(
        _mlp_model((64, 128, 10), seed, "batch"),
        path,
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
    )
    return path


def _mlp_model(sizes: tuple[int, ...], seed: int, batch: str) -> onnx.ModelProto:
    generator = np.random.default_rng(seed)
    nodes, constants, current = [], {}, "x"
    for layer, (rows, columns) in enumerate(itertools.pairwise(sizes)):
        last = layer == len(sizes) - 2
        weights = generator.standard_normal((rows, columns)) / np.sqrt(rows)
        constants[f"w{layer}"] = weights.astype(np.float32)
        constants[f"b{layer}"] = generator.standard_normal(columns).astype(np.float32)
        product = "y" if last else f"h{layer}"
        nodes.append(_node("Gemm", [current, f"w{layer}", f"b{layer}"], [product]))
        current = product if last else f"r{layer}"
        if not last:
            nodes.append(_node("Relu", [product], [current]))
    return _model(nodes, [_float("x", [batch, sizes[0]])], [_float("y", [batch, sizes[-1]])], constants)


def _loop(path: Path, trips: int) -> Path:
    body = helper.make_graph(
        [_node("MatMul", ["state", "w"], ["next"]), _node("Identity", ["go"], ["still"])],
        "body",
        [
            helper.make_tensor_value_info("i", INT64, []),
            helper.make_tensor_value_info("go", BOOL, []),
            _float("state", [128, 128]),
        ],
        [helper.make_tensor_value_info("still", BOOL, []), _float("next", [128, 128])],
    )
    nodes = [
        # The start depends on the input's shape, so that the loop is no constant to be folded away.
        _node("Shape", ["x"], ["shape"], start=0, end=1),
        _node("Cast", ["shape"], ["rows"], to=FLOAT),
        _node("Mul", ["w", "rows"], ["start"]),
        _node("Loop", ["trips", "", "start"], ["end"], body=body),
        _node("ReduceMax", ["end"], ["top"], keepdims=0),
        _node("Mul", ["top", "zero"], ["nothing"]),
        _node("Add", ["x", "nothing"], ["y"]),
    ]
    constants: dict[str, np.ndarray] = {
        "w": np.full((128, 128), 1 / 128, np.float32),
        "trips": np.array(trips, np.int64),
        "zero": np.array(0, np.float32),
    }
    return _build(path, nodes, [_float("x", ["N", 4])], [_float("y", ["N", 4])], constants)


def _time_a_run(path: Path) -> float:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed = {"x": np.zeros((1, 4), np.float32)}
    session.run(None, feed)
    quickest = float("inf")
    for _ in range(8):  # what else is on the machine makes a run longer, never shorter
        started = time.perf_counter()
        session.run(None, feed)
        quickest = min(quickest, time.perf_counter() - started)
    return quickest


def _linear(path: Path, shape: Shape, out: Shape) -> Path:
    nodes = [_node("MatMul", ["x", "w"], ["y"])]
    return _build(path, nodes, [_float("x", shape)], [_float("y", out)], {"w": _weights(1, 4, 2)})


def _weights(seed: int, rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, columns)).astype(np.float32)


def _float(name: str, shape: Shape) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, FLOAT, shape)


def _node(op: str, inputs: list[str], outputs: list[str], **attributes: Any) -> NodeProto:  # noqa: ANN401 - each operator takes others
    return helper.make_node(op, inputs, outputs, **attributes)


def _build(
    path: Path,
    nodes: list[NodeProto],
    inputs: list[ValueInfoProto],
    outputs: list[ValueInfoProto],
    constants: dict[str, np.ndarray] | None = None,
) -> Path:
    return _save(path, _model(nodes, inputs, outputs, constants or {}))


def _model(
    nodes: list[NodeProto],
    inputs: list[ValueInfoProto],
    outputs: list[ValueInfoProto],
    constants: dict[str, np.ndarray],
) -> onnx.ModelProto:
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "test", inputs, outputs, initializers)
    # IR version 8 and operator set 17 are read by every onnxruntime that we support.
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)


def _save(path: Path, model: onnx.ModelProto) -> Path:
    onnx.checker.check_model(model)
    onnx.save_model(model, path)
    return path
