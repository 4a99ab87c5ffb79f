"""Arrays as the bytes that travel, and back.

| datatype | numpy |
|---|---|
| BOOL, INT8 … UINT64, FP16, FP32, FP64 | the type of that name; any byte order in, little-endian out |
| BYTES | in: `str_`, `bytes_`, or objects that are str or bytes; out: objects that are str |
| BF16 | `ml_dtypes.bfloat16` where that package is installed, else its bits as uint16 |

Bytes in a BYTES answer that are no UTF-8 become surrogates, as in Python's file names, and are those bytes
again when the string is sent.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ringserve.core.byte_strings import join, measure, split
from ringserve.core.tensor import DType, count_elements

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Array = npt.NDArray[Any]
"""The type of the elements is known only when it runs."""

_NAMES = {dtype.numpy: dtype for dtype in DType if dtype.numpy is not None}
_COPIED_MAX = 1 << 16
"""Arrays up to this size are copied into the request, which is then sent in one piece."""
_HALF_WORD = 2


def dtype_of(name: str, array: Array) -> DType:
    """The datatype of an input.

    Raises:
        TypeError: Its type is none that the protocol has.
    """
    found = _NAMES.get(array.dtype.newbyteorder("<"))
    if found is not None:
        return found
    if array.dtype.kind in "OSTU":
        return DType.BYTES
    if array.dtype.name == "bfloat16":
        return DType.BF16
    raise TypeError(f"input {name!r} has numpy type {array.dtype}, which the protocol does not have")


def pack(name: str, array: Array, dtype: DType) -> bytes | memoryview:
    """The bytes of an input; a view of a large array, which must not change until the call returns.

    Args:
        name: Of the input, for its errors.
        array: Its elements.
        dtype: What they travel as; BF16 for a uint16 array of its bits.

    Raises:
        TypeError: An element of BYTES is neither str nor bytes, or the datatype is not the array's.
    """
    if dtype is DType.BYTES:
        return join([_encoded(name, element) for element in array.reshape(-1).tolist()])
    if dtype is DType.BF16:
        if array.dtype.itemsize != _HALF_WORD:
            raise TypeError(f"input {name!r} as BF16 must be bfloat16 or uint16, got {array.dtype}")
        array = array.view(np.uint16)
    elif dtype is not _NAMES.get(array.dtype.newbyteorder("<")):
        raise TypeError(f"input {name!r} has numpy type {array.dtype}, which is not {dtype.name}")
    array = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    if array.nbytes <= _COPIED_MAX:
        return array.tobytes()
    return array.reshape(-1).view(np.uint8).data


def unpack(dtype: DType, shape: tuple[int, ...], raw: memoryview) -> Array:
    """The array of an output, which owns its memory.

    Raises:
        ValueError: The bytes are too few, too many, or wrongly framed.
    """
    count = count_elements(shape)
    if dtype is DType.BYTES:
        end = measure(raw, 0, count)
        if end != len(raw):
            raise ValueError(f"{len(raw) - end} bytes follow its {count} elements")
        return strings(split(bytes(raw), 0, count), shape)
    kind = bfloat16() if dtype is DType.BF16 else dtype.numpy
    assert kind is not None
    if len(raw) != count * kind.itemsize:
        expected = count * kind.itemsize
        raise ValueError(f"{count} elements of {dtype.name} have {expected} bytes, got {len(raw)}")
    return np.frombuffer(raw, kind).reshape(shape).copy()


def from_list(dtype: DType, shape: tuple[int, ...], data: list[object]) -> Array:
    """The array of an output that came as JSON, flat or nested.

    Raises:
        ValueError: It has another shape, or what is no such number.
    """
    if dtype is DType.BYTES:
        flat = np.array(data, object).reshape(-1).tolist()
        if not all(isinstance(text, str) for text in flat):
            raise ValueError("not all of its elements are strings")
        return _filled(flat, shape)
    if dtype.numpy is None:
        raise ValueError(f"{dtype.name} has no form in JSON")
    try:
        return np.array(data, dtype.numpy).reshape(shape)
    except (TypeError, OverflowError) as error:
        raise ValueError(str(error)) from error


def strings(elements: Iterable[bytes], shape: tuple[int, ...]) -> Array:
    """Strings as an array of objects."""
    return _filled([element.decode("utf-8", "surrogateescape") for element in elements], shape)


@cache
def bfloat16() -> np.dtype[Any]:
    """What a BF16 output is an array of."""
    try:
        kind = import_module("ml_dtypes").bfloat16
    except ImportError:
        return np.dtype("<u2")
    found: np.dtype[Any] = np.dtype(kind)
    return found


def _filled(elements: Sequence[str], shape: tuple[int, ...]) -> Array:
    array = np.empty(len(elements), object)
    array[:] = elements
    return array.reshape(shape)


def _encoded(name: str, element: object) -> bytes:
    if isinstance(element, str):
        return element.encode("utf-8", "surrogateescape")
    if isinstance(element, bytes):
        return element
    kind = type(element).__name__
    raise TypeError(f"input {name!r} is of objects, which must be str or bytes, got {kind}")
