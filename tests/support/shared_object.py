"""Writes a shared library that needs another one, without a compiler.

It stands for onnxruntime's CUDA provider on a machine where CUDA's libraries are missing: the dynamic
linker reads what it needs, and refuses it with the missing library's name.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

_LOAD, _DYNAMIC = 1, 2
_NULL, _NEEDED, _STRTAB, _SYMTAB, _STRSZ, _SYMENT = 0, 1, 5, 6, 10, 11
_HEADER_SIZE, _SEGMENT_SIZE = 64, 56
_PAGE = 0x10000  # the largest page of any 64-bit Linux
_READ_WRITE = 6


def write_shared_object(path: Path, needs: str) -> Path:
    """Write a 64-bit ELF library with no code, whose only fact is that it needs `needs`."""
    running = Path(sys.executable).resolve().read_bytes()[:20]  # same byte order and processor as ours
    identity, machine = running[:16], struct.unpack("<H", running[18:20])[0]
    strings = b"\0" + needs.encode() + b"\0"
    strings_at = _HEADER_SIZE + 2 * _SEGMENT_SIZE
    symbols_at = strings_at + len(strings) + (-len(strings) % 8)
    dynamic_at = symbols_at + 24  # one empty symbol
    entries = [
        (_NEEDED, 1),
        (_STRTAB, strings_at),
        (_SYMTAB, symbols_at),
        (_STRSZ, len(strings)),
        (_SYMENT, 24),
    ]
    dynamic = b"".join(struct.pack("<QQ", *entry) for entry in [*entries, (_NULL, 0)])
    end = dynamic_at + len(dynamic)
    header = identity + struct.pack(
        "<HHIQQQIHHHHHH", 3, machine, 1, 0, _HEADER_SIZE, 0, 0, _HEADER_SIZE, _SEGMENT_SIZE, 2, 0, 0, 0
    )
    segments = _segment(_LOAD, 0, end, _PAGE) + _segment(_DYNAMIC, dynamic_at, len(dynamic), 8)
    body = (header + segments + strings).ljust(dynamic_at, b"\0") + dynamic
    path.write_bytes(body)
    return path


def _segment(kind: int, at: int, size: int, align: int) -> bytes:
    return struct.pack("<IIQQQQQQ", kind, _READ_WRITE, at, at, at, size, size, align)
