"""Tensor types and the shape of a model: what goes in and what comes out.

Data itself travels as raw little-endian bytes in row-major order, never as arrays, so that a gateway
can route a request without touching its numbers.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np

Dim = int | str | None
"""One dimension: a fixed number, a symbol's name, or unknown."""


class DType(enum.Enum):
    """Element types, named as in the Open Inference Protocol.

    Attributes:
        onnx: The name ONNX Runtime gives a tensor of this type.
        size: Bytes an element; 0 where elements differ in length.
        code: The `struct` format character that packs one number; empty where there is none.
    """

    BOOL = ("tensor(bool)", 1, "")
    UINT8 = ("tensor(uint8)", 1, "B")
    UINT16 = ("tensor(uint16)", 2, "H")
    UINT32 = ("tensor(uint32)", 4, "I")
    UINT64 = ("tensor(uint64)", 8, "Q")
    INT8 = ("tensor(int8)", 1, "b")
    INT16 = ("tensor(int16)", 2, "h")
    INT32 = ("tensor(int32)", 4, "i")
    INT64 = ("tensor(int64)", 8, "q")
    FP16 = ("tensor(float16)", 2, "e")
    FP32 = ("tensor(float)", 4, "f")
    FP64 = ("tensor(double)", 8, "d")
    BF16 = ("tensor(bfloat16)", 2, "")
    BYTES = ("tensor(string)", 0, "")

    onnx: str
    size: int
    code: str

    def __init__(self, onnx: str, size: int, code: str) -> None:
        """Spell out the columns of the table above."""
        self.onnx = onnx
        self.size = size
        self.code = code

    @property
    def numpy(self) -> np.dtype[np.generic] | None:
        """The little-endian numpy type, or None where numpy has none (BF16, BYTES)."""
        return _NUMPY.get(self.name)

    @property
    def is_float(self) -> bool:
        """Whether it holds fractions."""
        return self.name in {"FP16", "FP32", "FP64", "BF16"}

    @property
    def is_integer(self) -> bool:
        """Whether it holds whole numbers only (a bool is no number)."""
        return "INT" in self.name

    @classmethod
    def from_onnx(cls, name: str) -> DType | None:
        """Find the type by ONNX Runtime's name, such as `tensor(float)`; None where it is no tensor."""
        return _BY_ONNX.get(name)


_BY_ONNX = {dtype.onnx: dtype for dtype in DType}
_NUMPY: dict[str, np.dtype[np.generic]] = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """What a model declares for one input or output; dimensions may be open."""

    name: str
    dtype: DType
    shape: tuple[Dim, ...]

    @property
    def has_batch_axis(self) -> bool:
        """Whether the first axis is the batch axis: dynamic, or 1. Any other number is the item's."""
        return len(self.shape) > 0 and (not isinstance(self.shape[0], int) or self.shape[0] == 1)

    @property
    def item_shape(self) -> tuple[Dim, ...]:
        """The shape of one item: without the batch axis where there is one."""
        return self.shape[1:] if self.has_batch_axis else self.shape

    def describe_item(self) -> str:
        """The item's shape as people write it, such as `[3, height, width]`."""
        return describe_shape(self.item_shape)


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One loaded model as everybody needs to know it.

    Attributes:
        name: The file's stem unless a repository says otherwise.
        version: "1" unless a repository says otherwise.
        digest: BLAKE3 of the file, in hex: the identity of what is loaded.
        inputs: In the model's order.
        outputs: In the model's order; only those that are served.
        batching: Whether items may share a run (proved at load).
        max_batch: Items a run at most; 1 without batching.
        cacheable: False where the graph draws random numbers: then nothing is cached or joined.
        platform: The provider that runs it.
        labels: The names of the classes that its outputs count; none where nobody named them.
    """

    name: str
    version: str
    digest: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    batching: bool
    max_batch: int
    cacheable: bool
    platform: str
    labels: tuple[str, ...] = ()

    @property
    def takes_one_item(self) -> bool:
        """Whether the model is fixed to one item a run in all its tensors: n items are n runs of it."""
        tensors = (*self.inputs, *self.outputs)
        return not self.batching and all(tensor.shape[:1] == (1,) for tensor in tensors)

    @property
    def counts_items(self) -> bool:
        """Whether a request's first axis counts items, which may run apart from each other."""
        return self.batching or self.takes_one_item


def describe_shape(shape: tuple[Dim, ...]) -> str:
    """Write a shape as people do: numbers, symbols' names, and ? for what is unknown."""
    return "[" + ", ".join("?" if dim is None else str(dim) for dim in shape) + "]"


def count_elements(shape: tuple[int, ...]) -> int:
    """Multiply the dimensions with exact integers; a scalar has one element."""
    count = 1
    for dim in shape:
        count *= dim
    return count
