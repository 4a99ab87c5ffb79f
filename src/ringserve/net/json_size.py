"""`Inference-Header-Content-Length`: how many bytes of a body are JSON, the rest being binary tensors."""

from __future__ import annotations

from ringserve.errors import BadRequest

HEADER = "inference-header-content-length"
_DIGITS_MAX = 12


def json_size_of(value: str | None) -> int | None:
    """Read the header's value.

    Args:
        value: As it came; None where the header is absent.

    Returns:
        The number of bytes; None where all of the body is JSON.

    Raises:
        BadRequest: It is no such number.
    """
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= _DIGITS_MAX):
        raise BadRequest(
            f"Inference-Header-Content-Length must be a number of bytes, got {value[:40]!r}; "
            "send the length of the JSON before the binary tensors"
        )
    return int(value)
