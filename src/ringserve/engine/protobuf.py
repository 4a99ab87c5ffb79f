"""Just enough of Protocol Buffers to look into an ONNX file, and to write a field of one.

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
    """One field: its number, its value as `data` (bytes, texts) or `number`, and all of it as `raw`."""

    __slots__ = ("data", "number", "raw", "tag")

    def __init__(self, tag: int, number: int, data: memoryview, raw: memoryview) -> None:
        """Keep what was read."""
        self.tag = tag
        self.number = number
        self.data = data
        self.raw = raw

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
        start = at
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
        yield Field(tag, number, message[at : at + size] if size else EMPTY, message[start : at + size])
        at += size


def read_numbers(packed: memoryview, count_max: int) -> list[int]:
    """The first whole numbers of a packed list of int64.

    Raises:
        ValueError: The bytes are no such list.
    """
    numbers: list[int] = []
    at = 0
    while at < len(packed) and len(numbers) < count_max:
        number, at = _read_varint(packed, at)
        numbers.append(to_signed(number))
    return numbers


def to_signed(number: int) -> int:
    """An int64 as it is meant: negative ones are written as their two's complement."""
    number &= (1 << _VARINT_BITS_MAX) - 1
    return number - (1 << _VARINT_BITS_MAX) if number >> (_VARINT_BITS_MAX - 1) else number


def write_bytes(tag: int, data: bytes) -> bytes:
    """A field that holds bytes, a text or a message."""
    return _write_varint(tag << 3 | _BYTES) + _write_varint(len(data)) + data


def write_number(tag: int, number: int) -> bytes:
    """A field that holds a whole number, 0 or more."""
    return _write_varint(tag << 3 | _VARINT) + _write_varint(number)


def _write_varint(number: int) -> bytes:
    written = bytearray()
    while number > 0x7F:  # noqa: PLR2004 - the top bit says that more follow
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


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
