"""One model that takes a tensor of every element type and gives each back: N rows of three elements.

Its inputs are called by the type (`FP32`), its outputs likewise in small letters (`fp32`). What came as
bfloat16 goes as float32: onnxruntime runs no model that takes strings and gives bfloat16.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from ringserve.core.tensor import DType

Array = npt.NDArray[Any]
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
WIDTH = 3
GIVEN = {dtype.name: DType.FP32 if dtype is DType.BF16 else dtype for dtype in ELEMENTS}
"""The type of what comes back, by the name of the input."""


def everything(path: Path) -> Path:
    """Write the model."""
    nodes = [
        helper.make_node("Identity", [dtype.name], [dtype.name.lower()])
        for dtype in ELEMENTS
        if dtype is not DType.BF16
    ]
    nodes.append(helper.make_node("Cast", ["BF16"], ["bf16"], to=TensorProto.FLOAT))
    inputs = [
        helper.make_tensor_value_info(dtype.name, kind, ["N", WIDTH]) for dtype, kind in ELEMENTS.items()
    ]
    outputs = [
        helper.make_tensor_value_info(name.lower(), ELEMENTS[dtype], ["N", WIDTH])
        for name, dtype in GIVEN.items()
    ]
    graph = helper.make_graph(nodes, "everything", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save_model(model, path)
    return path


def feed(rows: int, seed: int) -> dict[str, Array]:
    """An array for each input; the strings are objects."""
    chance = np.random.default_rng(seed)
    arrays: dict[str, Array] = {}
    for dtype in ELEMENTS:
        numbers = chance.integers(0, 100, (rows, WIDTH))
        if dtype is DType.BYTES:
            array = np.array([f"é {number}" for number in numbers.flat], object).reshape(rows, WIDTH)
        elif dtype is DType.BOOL:
            array = numbers > 50
        elif dtype is DType.BF16:
            array = numbers.astype(ml_dtypes.bfloat16)
        else:
            assert dtype.numpy is not None
            array = numbers.astype(dtype.numpy)
        arrays[dtype.name] = array
    return arrays
