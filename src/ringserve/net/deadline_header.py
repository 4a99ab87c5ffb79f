"""`X-Request-Timeout-Ms`: how long the caller will wait."""

from __future__ import annotations

import math

from ringserve.errors import BadRequest

HEADER = "x-request-timeout-ms"
TIMEOUT_MS_MAX = 86_400_000.0


def deadline_of(value: bytes | None, now: float, default_s: float) -> float:
    """When an answer is too late.

    Args:
        value: The header's value; None where it is absent.
        now: The time of arrival, in seconds.
        default_s: What counts where the header is absent.

    Raises:
        BadRequest: It is no positive number of milliseconds.
    """
    if value is None:
        return now + default_s
    try:
        timeout_ms = float(value)
    except ValueError:
        timeout_ms = math.nan
    if not 0 < timeout_ms <= TIMEOUT_MS_MAX:
        shown = value[:40].decode("ascii", "replace")
        raise BadRequest(f"X-Request-Timeout-Ms must be a number of milliseconds above 0, got {shown!r}")
    return now + timeout_ms / 1000
