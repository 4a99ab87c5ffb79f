"""What is to be known of one metric."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from ringserve.core.histogram import HistogramStatistics

S = TypeVar("S")

Value = float | HistogramStatistics
Values = Value | Iterable[tuple[tuple[str, ...], Value]]
"""One value; with labels, one for each combination of their values."""


class Kind(enum.Enum):
    """How a metric behaves."""

    COUNTER = "counter"
    """It only grows, and begins anew with its process."""
    GAUGE = "gauge"
    """It goes up and down."""
    INFO = "info"
    """Always 1; what it tells stands in its labels."""
    HISTOGRAM = "histogram"
    """Counts of values by size."""


@dataclass(frozen=True, slots=True)
class Metric(Generic[S]):
    """A row of a table of metrics.

    Attributes:
        name: In base units (seconds, bytes, or a count), the unit last; a counter's ends in `_total`,
            an info's in `_info`.
        kind: How it behaves.
        help: One sentence.
        read: Finds its values in the statistics.
        labels: Their names. What they may be is bounded by the configuration, never by requests.
    """

    name: str
    kind: Kind
    help: str
    read: Callable[[S], Values]
    labels: tuple[str, ...] = ()

    def samples(self, statistics: S) -> Iterable[tuple[tuple[str, ...], Value]]:
        """The values of its labels, and its value."""
        values = self.read(statistics)
        return [((), values)] if isinstance(values, int | float | HistogramStatistics) else values


@dataclass(frozen=True, slots=True)
class Snapshot(Generic[S]):
    """Statistics of one moment, and the table that tells what of them is a metric."""

    table: tuple[Metric[S], ...]
    statistics: S

    def readings(self) -> Iterator[tuple[Metric[S], Iterable[tuple[tuple[str, ...], Value]]]]:
        """Each metric, and the values of its labels with its value."""
        for metric in self.table:
            yield metric, metric.samples(self.statistics)


def one_of(
    states: tuple[str, ...], current: str, before: tuple[str, ...] = ()
) -> list[tuple[tuple[str, ...], float]]:
    """A state as a gauge for each that there is: 1 for the current one, 0 for the others.

    Args:
        states: All that there are.
        current: One of them.
        before: Values of labels that stand before the state.
    """
    assert current in states
    return [((*before, state), float(state == current)) for state in states]
