"""What of the head of a plain request matters: one without a body in chunks, an Expect or an Upgrade."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ringserve.net.hot_paths import HotPath


class PlainHead(NamedTuple):
    """The head of a request that goes the fast way; many requests may have the same.

    Attributes:
        length: Of the body, in bytes.
        path: Where it leads.
        timeout: The value of X-Request-Timeout-Ms; None where it is absent.
        json_size: The value of Inference-Header-Content-Length; None where it is absent.
        fresh: Whether an answer from memory will not do.
        headers: All of them, for the check of API keys.
    """

    length: int
    path: HotPath
    timeout: bytes | None
    json_size: str | None
    fresh: bool
    headers: list[tuple[bytes, bytes]]
