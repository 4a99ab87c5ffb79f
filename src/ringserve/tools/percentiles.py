"""Latency summaries by the nearest-rank method.

The p-th percentile of n samples is the smallest sample that at least p % of them do not exceed: the
sample of rank ceil(n * p / 100) in ascending order. Every figure, the median included, is therefore the
latency that some request really had; nothing is interpolated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum


@dataclass(frozen=True, slots=True)
class LatencySummary:
    """The latencies of a run, in seconds."""

    count: int
    mean_s: float
    median_s: float
    p90_s: float
    p95_s: float
    p99_s: float
    min_s: float
    max_s: float


def percentile(ascending: Sequence[float], percent: int) -> float:
    """Give the nearest-rank percentile.

    Args:
        ascending: At least one sample, in ascending order.
        percent: From 1 to 100.

    Returns:
        One of the samples.
    """
    assert ascending, "no samples, no percentile"
    assert 1 <= percent <= 100, percent  # noqa: PLR2004 - per cent
    # Whole numbers only: the rank must not hang on how 0.9 is rounded.
    rank = -(-len(ascending) * percent // 100)
    return ascending[rank - 1]


def summarise(samples: Sequence[float]) -> LatencySummary | None:
    """Summarise latencies in seconds, in any order; None when there are none."""
    if not samples:
        return None
    ascending = sorted(samples)
    return LatencySummary(
        count=len(ascending),
        mean_s=fsum(ascending) / len(ascending),
        median_s=percentile(ascending, 50),
        p90_s=percentile(ascending, 90),
        p95_s=percentile(ascending, 95),
        p99_s=percentile(ascending, 99),
        min_s=ascending[0],
        max_s=ascending[-1],
    )
