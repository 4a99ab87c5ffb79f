"""A latency histogram with log-spaced buckets, drawn with characters.

Latencies spread over orders of magnitude: with equal widths everything would stand in one bucket and the
tail in forty empty ones. Edges are powers of ten divided evenly on the log scale, so that two runs
over the same range have the same edges and can be laid side by side.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10

ROWS_MAX = 16
_EDGES_PER_DECADE = (40, 20, 10, 5, 2, 1)
_EIGHTHS = " ▏▎▍▌▋▊▉"
_FULL = "█"


@dataclass(frozen=True, slots=True)
class Bucket:
    """How many samples lay in `low_s <= sample < high_s`."""

    low_s: float
    high_s: float
    count: int


def edges_between(low: float, high: float, rows_max: int = ROWS_MAX) -> list[float]:
    """Give ascending edges whose buckets `[edge, next edge)` cover `low` and `high`.

    Args:
        low: The smallest sample, above 0.
        high: The largest sample, not below `low`.
        rows_max: How many buckets there may be; only a range of more decades than that gets more.

    Returns:
        At least two edges: the finest division that keeps within `rows_max`.
    """
    edges: list[float] = []
    for per_decade in _EDGES_PER_DECADE:
        first, last = floor(log10(low) * per_decade), floor(log10(high) * per_decade) + 1
        # log10 and ** round independently: an edge may miss its own sample by the last bit.
        first -= 10 ** (first / per_decade) > low
        last += 10 ** (last / per_decade) <= high
        edges = [10 ** (step / per_decade) for step in range(first, last + 1)]
        if len(edges) - 1 <= rows_max:
            break
    return edges


def buckets_of(samples_s: Sequence[float], rows_max: int = ROWS_MAX) -> list[Bucket]:
    """Count latencies (seconds, above 0) in log-spaced buckets; no buckets for no samples."""
    if not samples_s:
        return []
    edges = edges_between(min(samples_s), max(samples_s), rows_max)
    counts = [0] * (len(edges) - 1)
    for sample in samples_s:
        counts[bisect_right(edges, sample) - 1] += 1
    filled = [row for row, count in enumerate(counts) if count]  # the ends may be empty by a rounded bit
    buckets = [Bucket(*three) for three in zip(edges[:-1], edges[1:], counts, strict=True)]
    return buckets[filled[0] : filled[-1] + 1]


def bar(count: int, count_max: int, width: int) -> str:
    """Draw a count as a bar of at most `width` characters, to an eighth of one; never empty above 0."""
    eighths = round(count * width * 8 / count_max) if count_max else 0
    if count:
        eighths = max(1, eighths)
    return _FULL * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def draw(buckets: Sequence[Bucket], width: int) -> list[str]:
    """Draw buckets as lines of at most `width` characters: range in ms, bar, count."""
    if not buckets:
        return []
    count_max = max(bucket.count for bucket in buckets)
    counts = [f"{bucket.count:,}" for bucket in buckets]
    ranges = [_range(bucket) for bucket in buckets]
    range_width, count_width = max(map(len, ranges)), max(map(len, counts))
    bar_width = max(1, width - range_width - count_width - 4)
    bars = [bar(bucket.count, count_max, bar_width) for bucket in buckets]
    return [
        f"{label:>{range_width}}  {drawn:<{bar_width}}  {count:>{count_width}}"
        for label, drawn, count in zip(ranges, bars, counts, strict=True)
    ]


def _range(bucket: Bucket) -> str:
    return f"{_milliseconds(bucket.low_s):>6} – {_milliseconds(bucket.high_s):>6} ms"


def _milliseconds(seconds: float) -> str:
    """Three significant digits, without an exponent."""
    value = seconds * 1e3
    decimals = min(6, max(0, 2 - floor(log10(value)))) if value else 0
    return f"{value:.{decimals}f}"
