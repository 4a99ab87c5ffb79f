"""One input of a request: what REST says of it, and its bytes, by whatever protocol they came."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringserve.core.byte_strings import measure
from ringserve.core.signature import DIMENSIONS_MAX, TensorLayout
from ringserve.core.tensor import DType, count_elements, describe_shape
from ringserve.errors import BadRequest, TooLarge
from ringserve.limits import TENSOR_ELEMENTS_MAX
from ringserve.wire.nested import shown
from ringserve.wire.oip_asked import Fields, parameters_of
from ringserve.wire.oip_json import check_booleans

if TYPE_CHECKING:
    from ringserve.core.tensor import TensorSpec


LOOKED_AT = (DType.BOOL, DType.BYTES)
"""Types not any bytes of which are a tensor."""


def layout_of(tensor: TensorSpec, fields: Fields) -> TensorLayout:
    """Type and shape as the request gives them.

    Raises:
        BadRequest: Another type than the model's, or no shape.
        TooLarge: More elements than any tensor may have.
    """
    datatype, shape = fields.get("datatype"), fields.get("shape")
    if datatype != tensor.dtype.name:
        raise BadRequest(f"input {tensor.name} takes datatype {tensor.dtype.name}, got {shown(datatype)}")
    if not isinstance(shape, list) or len(shape) > DIMENSIONS_MAX or not all(map(_is_size, shape)):
        declared = describe_shape(tensor.shape)
        raise BadRequest(
            f"shape of input {tensor.name} must be a list of sizes that fits {declared}, got {shown(shape)}"
        )
    # A 0 must not hide the other sizes.
    if count_elements(tuple(dim or 1 for dim in shape)) > TENSOR_ELEMENTS_MAX:
        raise TooLarge(f"input {tensor.name} may have {TENSOR_ELEMENTS_MAX} elements at most")
    return TensorLayout(tensor.name, tensor.dtype, tuple(shape))


def _is_size(dim: object) -> bool:
    return type(dim) is int and dim >= 0


def binary_size_of(fields: Fields, layout: TensorLayout, rest: memoryview | None) -> int | None:
    """Bytes of this input behind the JSON; None where its data is in it.

    Args:
        fields: As the request describes the input.
        layout: Its type and shape, read of them.
        rest: What is behind the JSON; None where the request does not say where that begins.

    Raises:
        BadRequest: They are not those of its type and shape, or it has its data twice.
    """
    parameters = parameters_of(fields, f"input {layout.name}")
    if "shared_memory_region" in parameters:
        raise BadRequest(
            f"input {layout.name} names shared memory, which this server does not map; send its data"
        )
    size = parameters.get("binary_data_size")
    if size is None:
        return None
    if "data" in fields:
        raise BadRequest(f"input {layout.name} has both data and binary_data_size; send one of them")
    if rest is None:
        raise BadRequest(
            f"input {layout.name} has binary_data_size, but the header Inference-Header-Content-Length, "
            "which tells where the JSON ends, is missing"
        )
    if layout.dtype is DType.BYTES and type(size) is int and size >= 0:
        return size
    if size != layout.byte_size or isinstance(size, bool):
        raise BadRequest(
            f"input {layout.name} of shape {describe_shape(layout.shape)} and type {layout.dtype.name} has "
            f"{layout.byte_size} bytes, got binary_data_size {shown(size)}"
        )
    return layout.byte_size


def check_raw(layout: TensorLayout, raw: bytes | memoryview) -> None:
    """Hold an input's bytes, which come from anybody, against a type not any bytes of which are a tensor.

    Raises:
        BadRequest: A boolean is neither 0 nor 1, or the strings are not framed as they should be.
    """
    if layout.dtype is DType.BOOL:
        check_booleans(layout.name, raw)
    elif layout.dtype is DType.BYTES:
        _check_strings(layout, raw)


def _check_strings(layout: TensorLayout, raw: bytes | memoryview) -> None:
    count = count_elements(layout.shape)
    try:
        end = measure(raw, 0, count)
        wrong = f"{len(raw) - end} bytes after its {count} elements" if end != len(raw) else ""
    except ValueError as cause:
        wrong = f"bytes that are framed wrongly: {cause}"
    if wrong:
        raise BadRequest(
            f"input {layout.name} of type BYTES and shape {describe_shape(layout.shape)} has {wrong}; "
            "each element is its length (4 bytes, little-endian) and its bytes"
        )
