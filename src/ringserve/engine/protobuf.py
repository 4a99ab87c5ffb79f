"""Just enough of Protocol Buffers to look into an ONNX file.

The `onnx` package would add 20 MB and a second to every worker for a few facts. Fields are yielded as
they stand in the file; nested messages stay slices of the same memory, so weights are never copied.
Wire format: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_VARINT_BITS_MAX = 64

EMPTY = memoryview(b"")


class Field:
    """One field: its number, and its value as `data` (bytes, messages, texts) or as `number`."""

    __slots__ = ("data", "number", "tag")

    def __init__(self, tag: int, number: int, data: memoryview) -> None:
        """Keep what was read."""
        self.tag = tag
        self.number = number
        self.data = data

    @property
    def text(self) -> str:
        """The value as text; bytes that are no UTF-8 are replaced."""
        return str(self.data, "utf-8", "replace")


def read_fields(message: memoryview) -> Iterator[Field]:
    """Yield the fields of one message in the order of the file.

    Raises:
        ValueError: The bytes are no message.
    """
    at, end = 0, len(message)
    while at < end:
        key, at = _read_varint(message, at)
        tag, kind = key >> 3, key & 7
        number, size = 0, 0
        if kind == _VARINT:
            number, at = _read_varint(message, at)
        elif kind == _BYTES:
            size, at = _read_varint(message, at)
        elif kind in {_FIXED64, _FIXED32}:
            size = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"no wire type {kind}")
        if tag == 0 or at + size > end:
            raise ValueError("not a Protocol Buffers message, or cut short")
        yield Field(tag, number, message[at : at + size] if size else EMPTY)
        at += size


def _read_varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, _VARINT_BITS_MAX + 6, 7):
        if at >= len(message):
            break
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the top bit says that more follow
            return value, at
    raise ValueError("not a Protocol Buffers message, or cut short")
