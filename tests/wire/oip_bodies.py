"""Models, arrays and request bodies for the tests of `/v2`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ringserve.core.tensor import Dim, DType, ModelSpec, TensorSpec

Array = npt.NDArray[np.generic]
NUMBERS = [dtype for dtype in DType if dtype.numpy is not None]
IN_JSON: list[DType] = [dtype for dtype in NUMBERS if dtype is not DType.FP16]


def tensor(name: str, dtype: DType, *shape: Dim) -> TensorSpec:
    return TensorSpec(name, dtype, shape)


def model(
    *inputs: TensorSpec, outputs: tuple[TensorSpec, ...] = (), batching: bool = True, name: str = "m"
) -> ModelSpec:
    outputs = outputs or (tensor("y", DType.FP32, "n", 2),)
    return ModelSpec(name, "1", "d", inputs, outputs, batching, 8 if batching else 1, True, "cpu")


TWO = model(tensor("a/b", DType.FP32, "n", 2), tensor("ids", DType.INT64, "n", None))
ONE = model(tensor("x", DType.FP32, "n", 2))


def given_input(name: str, array: Array, dtype: DType, **more: object) -> dict[str, object]:
    return {"name": name, "datatype": dtype.name, "shape": list(array.shape), **more}


def body_of(*inputs: Mapping[str, object], behind: bytes = b"", **fields: Any) -> tuple[bytes, int]:  # noqa: ANN401 - JSON
    head = json.dumps({"inputs": list(inputs), **fields}).encode()
    return head + behind, len(head)


@st.composite
def arrays(draw: st.DrawFn, dtypes: Sequence[DType]) -> tuple[DType, Array]:
    dtype = draw(st.sampled_from(dtypes))
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4))
    assert dtype.numpy is not None
    elements = hnp.from_dtype(dtype.numpy, allow_nan=False, allow_infinity=False)
    array: Array = draw(hnp.arrays(dtype.numpy, shape, elements=elements))
    return dtype, array


GOOD = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}
