"""`Cache-Control` on a request: whether its caller will have an answer from memory."""

from __future__ import annotations

HEADER = "cache-control"


def wants_fresh(value: str) -> bool:
    """Whether the header's value asks for an answer that is computed for it (`no-cache`, see RFC 9111)."""
    return any(directive.strip().lower() == "no-cache" for directive in value.split(","))
