"""Tensors of the Open Inference Protocol as JSON: `data`, flat or nested, into raw bytes and back.

Half floats have no JSON form in the protocol: they travel as binary tensors only.
"""

from __future__ import annotations

from struct import error, pack
from typing import TYPE_CHECKING

import numpy as np
import orjson

from ringserve.core.byte_strings import split
from ringserve.core.tensor import DType, count_elements, describe_shape
from ringserve.errors import BadRequest, ModelFailed, NotFinite
from ringserve.wire.nested import flatten, pack_booleans, pack_numbers, pack_strings, shown

if TYPE_CHECKING:
    from ringserve.core.signature import TensorLayout
    from ringserve.core.tensor import TensorSpec


def pack_data(tensor: TensorSpec, shape: tuple[int, ...], data: object) -> bytes:
    """Pack what stands in a tensor's `data`.

    Args:
        tensor: The input it is for.
        shape: As the request gives it.
        data: A list, flat or nested as the shape.

    Raises:
        BadRequest: It is no such list, has another number of elements, or one that the type cannot hold.
    """
    name, dtype = tensor.name, tensor.dtype
    field = f"data of input {name}"
    if not has_json_form(dtype):
        raise BadRequest(
            f"input {name} has type {dtype.name}, which JSON cannot carry; send it as a binary tensor"
        )
    if not isinstance(data, list):
        raise BadRequest(f"{field} must be a list of {count_elements(shape)} elements, got {shown(data)}")
    nested = bool(data) and isinstance(data[0], list)
    expected = shape[0] if nested and shape else count_elements(shape)
    if len(data) != expected:
        parts = "lists" if nested else "elements"
        rule = f"data must have {expected} {parts}, got {len(data)}"
        raise BadRequest(f"input {name} has shape {describe_shape(shape)}: {rule}")
    if dtype is DType.BYTES:
        return pack_strings(flatten(tensor, shape, data, field) if nested else data, field)
    if dtype is DType.BOOL:
        return pack_booleans(flatten(tensor, shape, data, field) if nested else data, field)
    if not nested and bool not in set(map(type, data)):
        try:
            return pack(f"<{len(data)}{dtype.code}", *data)
        except (error, OverflowError):
            pass  # The strict way words the error, or accepts whole floats for integers.
    return pack_numbers(tensor, shape, data, field)


def write_data(layout: TensorLayout, raw: bytes) -> bytes:
    """A tensor's elements as a flat JSON list.

    Raises:
        NotFinite: It holds NaN or infinity.
        ModelFailed: Its type has no JSON form.
    """
    if layout.dtype is DType.BYTES:
        return _write_strings(layout, raw)
    kind = layout.dtype.numpy
    if kind is None or not has_json_form(layout.dtype):
        raise ModelFailed(
            f"output {layout.name} has type {layout.dtype.name}, which JSON cannot carry; "
            "ask for it as a binary tensor (binary_data: true)"
        )
    text = orjson.dumps(np.frombuffer(raw, kind), option=orjson.OPT_SERIALIZE_NUMPY)
    # orjson writes null for what JSON has no number for; no number and no boolean contains the letter n.
    if b"n" in text:
        raise NotFinite(
            f"output {layout.name} holds NaN or infinity, which JSON cannot carry; "
            "ask for it as a binary tensor (binary_data: true)"
        )
    return text


def check_booleans(name: str, raw: bytes | memoryview) -> None:
    """Hold the bytes of a boolean input, which come from anybody, to 0 and 1.

    Raises:
        BadRequest: There is another.
    """
    if raw and np.frombuffer(raw, np.uint8).max() > 1:
        raise BadRequest(f"input {name} is of booleans, whose bytes are 0 or 1, and has others")


def has_json_form(dtype: DType) -> bool:
    """Whether a tensor of this type can be sent as JSON."""
    return dtype in (DType.BOOL, DType.BYTES) or (bool(dtype.code) and dtype is not DType.FP16)


def _write_strings(layout: TensorLayout, raw: bytes) -> bytes:
    try:
        return orjson.dumps([text.decode() for text in split(raw, 0, count_elements(layout.shape))])
    except UnicodeDecodeError as cause:
        raise ModelFailed(
            f"output {layout.name} holds bytes that are no UTF-8, which JSON cannot carry; "
            "ask for it as a binary tensor (binary_data: true)"
        ) from cause
