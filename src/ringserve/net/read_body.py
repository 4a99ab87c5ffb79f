"""The body of a request on the ordinary way, read within its bounds."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from ringserve.errors import TooLarge
from ringserve.net.large_bodies import BodiesFull

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from ringserve.net.large_bodies import HeldBody

DISCARDED_MAX = 4 << 20
DISCARD_S = 0.5
"""Bytes beyond the limit, and seconds, for which a body is read and thrown away before its 413."""


async def read_body(request: Request, bytes_max: int, held: HeldBody) -> bytes:
    """Read the body, which may come in chunks of unknown sum.

    Raises:
        TooLarge: It is longer than a body may be.
        BodiesFull: All bodies together are.
    """
    parts: list[bytes] = []
    stream = request.stream()
    try:
        async for part in stream:
            held.grow(len(part), bytes_max)
            parts.append(part)
    except (TooLarge, BodiesFull):
        parts.clear()
        with suppress(TimeoutError):  # whoever still sends then is closed upon
            async with asyncio.timeout(DISCARD_S):
                await _discard(stream)
        raise
    return b"".join(parts)


async def _discard(stream: AsyncIterator[bytes]) -> None:
    """Read on and throw away, so that a caller who still sends comes to read the answer."""
    size = 0
    async for part in stream:
        size += len(part)
        if size > DISCARDED_MAX:
            return
