"""BYTES tensors in a payload: for each element its length (4 bytes, little-endian), then its bytes.

This is the raw form of the Open Inference Protocol. The size of such a tensor stands nowhere but in these
lengths, so whoever needs to know where the next tensor begins walks them; and whoever takes a payload from
elsewhere checks it first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import Struct, error

from ringserve.core.signature import TensorLayout
from ringserve.core.tensor import DType, count_elements

_LENGTH = Struct("<I")
LENGTH_SIZE = _LENGTH.size


def measure(data: bytes | memoryview, start: int, count: int) -> int:
    """Walk over the elements of one tensor.

    Args:
        data: The payload.
        start: Where the tensor begins.
        count: Its elements.

    Returns:
        Where it ends.

    Raises:
        ValueError: The payload ends before the tensor does.
    """
    at, end, size, unpack_from = start, len(data), LENGTH_SIZE, _LENGTH.unpack_from
    if count * size > end - start:
        raise ValueError(f"{count} elements need {count * size} bytes for their lengths alone")
    for position in range(count):
        try:
            (length,) = unpack_from(data, at)
        except error:
            raise ValueError(f"the bytes end in the length of element {position} of {count}") from None
        at += size + length
        if at > end:
            missing = at - end
            raise ValueError(
                f"element {position} of {count} says {length} bytes, of which the last {missing} are missing"
            )
    return at


def split(data: bytes, start: int, count: int) -> list[bytes]:
    """Take the elements of one tensor, of bytes that are known to be framed well (see `measure`)."""
    elements, at, size, unpack_from = [], start, LENGTH_SIZE, _LENGTH.unpack_from
    for _ in range(count):
        (length,) = unpack_from(data, at)
        at += size
        elements.append(data[at : at + length])
        at += length
    return elements


def join(elements: Iterable[bytes]) -> bytes:
    """Put elements into the form they have in a payload."""
    pack, parts = _LENGTH.pack, []
    for element in elements:
        parts.append(pack(len(element)))
        parts.append(element)
    return b"".join(parts)


def find_ends(layouts: Sequence[TensorLayout], payload: bytes) -> list[int]:
    """Find where each tensor of a payload ends.

    Raises:
        ValueError: The payload is shorter or longer than its tensors; the sentence names the tensor.
    """
    ends, at = [], 0
    for layout in layouts:
        if layout.dtype is DType.BYTES:
            try:
                at = measure(payload, at, count_elements(layout.shape))
            except ValueError as cause:
                raise ValueError(f"tensor {layout.name} of type BYTES is framed wrongly: {cause}") from None
        else:
            at += layout.byte_size
        if at > len(payload):
            raise ValueError(
                f"tensor {layout.name} needs {layout.byte_size} bytes, "
                f"got {len(payload) - at + layout.byte_size}"
            )
        ends.append(at)
    if at != len(payload):
        raise ValueError(f"there are {len(payload) - at} bytes after the last tensor")
    return ends
