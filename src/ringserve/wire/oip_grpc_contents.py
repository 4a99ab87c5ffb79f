"""Tensors that came as numbers, in one field of the message a family of types, made their raw bytes."""

from __future__ import annotations

import numpy as np
from google.protobuf.message import Message

from ringserve.core.byte_strings import join
from ringserve.core.signature import TensorLayout
from ringserve.core.tensor import DType, count_elements
from ringserve.errors import BadRequest

_FIELDS = {
    DType.BOOL: "bool_contents",
    DType.INT8: "int_contents",
    DType.INT16: "int_contents",
    DType.INT32: "int_contents",
    DType.INT64: "int64_contents",
    DType.UINT8: "uint_contents",
    DType.UINT16: "uint_contents",
    DType.UINT32: "uint_contents",
    DType.UINT64: "uint64_contents",
    DType.FP32: "fp32_contents",
    DType.FP64: "fp64_contents",
    DType.BYTES: "bytes_contents",
}


def pack_contents(layout: TensorLayout, contents: Message) -> bytes:
    """The raw bytes of a tensor that came as typed contents.

    Raises:
        BadRequest: Its type has none, they are in the wrong field, too few or too many, or out of range.
    """
    name, dtype = layout.name, layout.dtype
    field = _FIELDS.get(dtype)
    if field is None:
        raise BadRequest(f"input {name} has type {dtype.name}, which goes by raw_input_contents only")
    for descriptor, _ in contents.ListFields():
        if descriptor.name != field:
            raise BadRequest(f"input {name} has type {dtype.name}: its elements go by {field}, "
                             f"not {descriptor.name}")  # fmt: skip
    values = getattr(contents, field)
    expected = count_elements(layout.shape)
    if len(values) != expected:
        shape = list(layout.shape)
        raise BadRequest(
            f"input {name} of shape {shape} has {expected} elements, got {len(values)} in {field}"
        )
    if dtype is DType.BYTES:
        return join(values)
    return _pack_numbers(layout, field, list(values))


def _pack_numbers(layout: TensorLayout, field: str, values: list[float]) -> bytes:
    kind = layout.dtype.numpy
    assert kind is not None
    if field not in {"int_contents", "uint_contents"} or kind.itemsize == 4:  # noqa: PLR2004 - the field's own width
        return np.array(values, kind).tobytes()
    wide = np.array(values, np.int64)
    bounds = np.iinfo(kind.name)
    wrong = (wide < bounds.min) | (wide > bounds.max)
    if wrong.any():
        value = int(wide[wrong][0])
        raise BadRequest(f"input {layout.name} of type {layout.dtype.name} cannot hold {value}")
    return wide.astype(kind).tobytes()
