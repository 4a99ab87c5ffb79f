"""Small ONNX models of every element type, of strings beside numbers, and of outputs that are no tensors.

| builder | inputs (N is the batch axis) | outputs | what it is for |
|---|---|---|---|
| `identity` | x of any type and shape | y = x | one type through everything |
| `bfloats` | x [N, 2] bfloat16 | y [N, 2] bfloat16 | y = 2x, computed in float32 |
| `strings_to_bfloats` | x [N] string | y [N] bfloat16 | what onnxruntime cannot be asked for |
| `colours` | x [N, 3] string | y [N, 3] int64 | the place of red, green, blue; -1 for others |
| `labels` | text [N, 2] string, size [N, 3] float | label [N] string, scores [N, 3] | a pipeline |
| `scaled` | x [N, 4] float, factor [] int64 | y [N, 4] float | a scalar beside a batch |
| `states` | x [N, 4], state [2, N, 4] float | y, next: as they came | a state with the batch axis second |
| `classifier` | x [N, 4] float | label [N] int64, probabilities: maps | a ZipMap, as skl2onnx exports it |
| `tree` | x [N, 4] float | label [N] string, probabilities: maps | the same behind a tree |
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

Shape = list[int | str | None]
COLOURS = ("red", "green", "blue")


def identity(path: Path, element: int, shape: Shape) -> Path:
    """Give back what comes."""
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    return _save(path, nodes, [_value("x", element, shape)], [_value("y", element, shape)])


def bfloats(path: Path) -> Path:
    """Double in float32."""
    nodes = [
        helper.make_node("Cast", ["x"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["wide", "wide"], ["twice"]),
        helper.make_node("Cast", ["twice"], ["y"], to=TensorProto.BFLOAT16),
    ]
    element = TensorProto.BFLOAT16
    return _save(path, nodes, [_value("x", element, ["N", 2])], [_value("y", element, ["N", 2])])


def strings_to_bfloats(path: Path) -> Path:
    """Read numbers."""
    nodes = [helper.make_node("Cast", ["x"], ["y"], to=TensorProto.BFLOAT16)]
    outputs = [_value("y", TensorProto.BFLOAT16, ["N"])]
    return _save(path, nodes, [_value("x", TensorProto.STRING, ["N"])], outputs)


def colours(path: Path) -> Path:
    """Look strings up."""
    nodes = [
        helper.make_node(
            "LabelEncoder",
            ["x"],
            ["y"],
            domain="ai.onnx.ml",
            keys_strings=list(COLOURS),
            values_int64s=[0, 1, 2],
            default_int64=-1,
        )
    ]
    inputs = [_value("x", TensorProto.STRING, ["N", 3])]
    return _save(path, nodes, inputs, [_value("y", TensorProto.INT64, ["N", 3])])


def labels(path: Path) -> Path:
    """Add the sizes to the colours' places, and name the class of the largest sum."""
    encoder = helper.make_node(
        "LabelEncoder",
        ["text"],
        ["places"],
        domain="ai.onnx.ml",
        keys_strings=list(COLOURS),
        values_floats=[1.0, 2.0, 3.0],
        default_float=0.0,
    )
    namer = helper.make_node(
        "LabelEncoder",
        ["class"],
        ["label"],
        domain="ai.onnx.ml",
        keys_int64s=[0, 1, 2],
        values_strings=["klein", "mittel", "groß"],
    )
    nodes = [
        encoder,
        helper.make_node("MatMul", ["places", "w"], ["spread"]),
        helper.make_node("Add", ["spread", "size"], ["scores"]),
        helper.make_node("ArgMax", ["scores"], ["class"], axis=1, keepdims=0),
        namer,
    ]
    inputs = [_value("text", TensorProto.STRING, ["N", 2]), _value("size", TensorProto.FLOAT, ["N", 3])]
    outputs = [_value("label", TensorProto.STRING, ["N"]), _value("scores", TensorProto.FLOAT, ["N", 3])]
    return _save(path, nodes, inputs, outputs, {"w": _weights(2, 3)})


def scaled(path: Path) -> Path:
    """Multiply by a whole number that has no axis."""
    nodes = [
        helper.make_node("Cast", ["factor"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["x", "wide"], ["y"]),
    ]
    inputs = [_value("x", TensorProto.FLOAT, ["N", 4]), _value("factor", TensorProto.INT64, [])]
    return _save(path, nodes, inputs, [_value("y", TensorProto.FLOAT, ["N", 4])])


def states(path: Path) -> Path:
    """Add the state's sum to what comes, and what comes to the state."""
    nodes = [
        helper.make_node("ReduceSum", ["state", "first"], ["sum"], keepdims=0),
        helper.make_node("Add", ["x", "sum"], ["y"]),
        helper.make_node("Add", ["state", "x"], ["next"]),
    ]
    inputs = [_value("x", TensorProto.FLOAT, ["N", 4]), _value("state", TensorProto.FLOAT, [2, "N", 4])]
    outputs = [_value("y", TensorProto.FLOAT, ["N", 4]), _value("next", TensorProto.FLOAT, [2, "N", 4])]
    return _save(path, nodes, inputs, outputs, {"first": np.array([0], np.int64)})


def classifier(path: Path, *, keys: str = "classlabels_int64s") -> Path:
    """A linear classifier whose probabilities go through a ZipMap, as skl2onnx exports them."""
    keyed: Any = [0, 1, 2] if keys == "classlabels_int64s" else list(COLOURS)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["sums"]),
        helper.make_node("ArgMax", ["sums"], ["label"], axis=1, keepdims=0),
        helper.make_node("Softmax", ["sums"], ["chances"], axis=1),
        helper.make_node("ZipMap", ["chances"], ["probabilities"], domain="ai.onnx.ml", **{keys: keyed}),
    ]
    key = TensorProto.INT64 if keys == "classlabels_int64s" else TensorProto.STRING
    outputs = [_value("label", TensorProto.INT64, ["N"]), _maps(key)]
    return _save(path, nodes, [_value("x", TensorProto.FLOAT, ["N", 4])], outputs, {"w": _weights(4, 3)})


def tree(path: Path) -> Path:
    """One split of one tree: onnxruntime does not know how many dimensions its chances have."""
    node = helper.make_node(
        "TreeEnsembleClassifier",
        ["x"],
        ["label", "chances"],
        domain="ai.onnx.ml",
        nodes_treeids=[0, 0, 0],
        nodes_nodeids=[0, 1, 2],
        nodes_featureids=[0, 0, 0],
        nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"],
        nodes_values=[0.5, 0.0, 0.0],
        nodes_truenodeids=[1, 0, 0],
        nodes_falsenodeids=[2, 0, 0],
        class_treeids=[0, 0],
        class_nodeids=[1, 2],
        class_ids=[0, 1],
        class_weights=[1.0, 1.0],
        classlabels_strings=["klein", "groß"],
        post_transform="NONE",
    )
    labels: Any = ["klein", "groß"]
    maps = helper.make_node(
        "ZipMap", ["chances"], ["probabilities"], domain="ai.onnx.ml", classlabels_strings=labels
    )
    outputs = [_value("label", TensorProto.STRING, ["N"]), _maps(TensorProto.STRING)]
    inputs = [_value("x", TensorProto.FLOAT, ["N", 4])]
    return _save(path, [node, maps], inputs, outputs, ml_opset=1)


def _maps(key: int) -> ValueInfoProto:
    element = helper.make_map_type_proto(key, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    return helper.make_value_info("probabilities", helper.make_sequence_type_proto(element))


def _value(name: str, element: int, shape: Shape) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, element, shape)


def _weights(rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(rows).standard_normal((rows, columns)).astype(np.float32)


def _save(
    path: Path,
    nodes: list[NodeProto],
    inputs: list[ValueInfoProto],
    outputs: list[ValueInfoProto],
    constants: dict[str, np.ndarray] | None = None,
    ml_opset: int = 3,
) -> Path:
    initializers = [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()]
    graph = helper.make_graph(nodes, "test", inputs, outputs, initializers)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", ml_opset)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    onnx.checker.check_model(model)
    onnx.save_model(model, path)
    return path
