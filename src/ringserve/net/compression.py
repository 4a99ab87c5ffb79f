"""Compressed bodies: gzip and deflate, unpacked within a bound, packed where the caller asked for it."""

from __future__ import annotations

import asyncio
import zlib

from ringserve.errors import BadRequest, ServeError, TooLarge

ACCEPTED = "gzip, deflate"
_GZIP, _ZLIB = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS
_WINDOW = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": _ZLIB}
_LEVEL = 1
"""Numbers hardly shrink more at a higher level, which costs several times as much."""
_IN_LOOP_MAX = 4 << 10
"""Bytes that are packed or unpacked in the event loop; for more a thread is worth it."""
_STEP = 1 << 20


class UnknownEncoding(BadRequest):
    """A body in a form that is not known here; the answer lists those that are."""


async def unpack(body: bytes, encoding: str, bytes_max: int) -> bytes:
    """Undo a Content-Encoding.

    Args:
        body: As it arrived.
        encoding: The header's value; empty where there was none.
        bytes_max: The longest body there may be.

    Raises:
        UnknownEncoding: It is neither gzip nor deflate, or several of them.
        BadRequest: The body is not what the header says.
        TooLarge: Unpacked it would be longer; it is not unpacked further than that.
    """
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return body
    window = _WINDOW.get(name)
    if window is None:
        raise UnknownEncoding(
            f"the body has the Content-Encoding {name[:40]!r}; send it as gzip, deflate or plain"
        )
    if len(body) <= _IN_LOOP_MAX:
        return _unpack(body, window, name, bytes_max)
    return await asyncio.to_thread(_unpack, body, window, name, bytes_max)


async def pack(body: bytes, accepted: str) -> tuple[bytes, str]:
    """Pack an answer's body as the caller's Accept-Encoding allows.

    Returns:
        The body, and its Content-Encoding; empty where it is left as it is.
    """
    name = _choose(accepted)
    if not name:
        return body, ""
    if len(body) <= _IN_LOOP_MAX:
        return _pack(body, name), name
    return await asyncio.to_thread(_pack, body, name), name


def _choose(accepted: str) -> str:
    """The form the caller likes best, among those known here."""
    best, most = "", 0.0
    for offer in accepted.lower().split(","):
        name, _, parameter = offer.partition(";")
        weight = _weight(parameter)
        if name.strip() in ("gzip", "deflate") and weight > most:
            best, most = name.strip(), weight
    return best


def _weight(parameter: str) -> float:
    name, _, value = parameter.partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


def _pack(body: bytes, name: str) -> bytes:
    packer = zlib.compressobj(_LEVEL, wbits=_WINDOW[name])
    return packer.compress(body) + packer.flush()


def _unpack(body: bytes, window: int, name: str, bytes_max: int) -> bytes:
    unpacker = zlib.decompressobj(window)
    parts: list[bytes] = []
    size = 0
    rest = body
    try:
        while not unpacker.eof:
            part = unpacker.decompress(rest, min(_STEP, bytes_max - size + 1))
            size += len(part)
            if size > bytes_max:
                raise TooLarge(
                    f"the body has more than {bytes_max} bytes when it is unpacked; "
                    "send less or raise --max-body-mb"
                )
            rest = unpacker.unconsumed_tail
            if not part and not rest:
                break
            parts.append(part)
    except zlib.error as error:
        raise _damaged(name) from error
    if not unpacker.eof or unpacker.unused_data:
        raise _damaged(name)
    return b"".join(parts)


def _damaged(name: str) -> ServeError:
    return BadRequest(f"the body is not {name}, as its Content-Encoding says, or it is not whole")
