"""Expiry by sweep: one earliest deadline for a whole table, not a timer for each row.

Most rows are answered long before their deadline, so what a row costs must not depend on it. A new row
costs one comparison with `earliest`; a row that leaves costs nothing; now and then a sweep walks over the
table, takes out what is late and finds the next earliest deadline. `earliest` may belong to a row that
has left: then a sweep finds nothing, which is harmless, and since two sweeps are at least `granularity_s`
apart, it is also cheap: at 50 a second a table of 10,000 rows costs about 1 % of a core. In return a row
may expire up to `granularity_s` late.

Rejected: a timer a row, since two calls into the event loop for each request cost more than its routing;
a heap of deadlines, which either is searched when a row leaves, or keeps every finished row until the
time at which it would have been late: 30 s x 70,000 rows a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

_NEVER = float("inf")


class HasDeadline(Protocol):
    """A row that expires; a deadline of infinity never does."""

    @property
    def deadline(self) -> float:
        """When it is too late, in seconds of the table's clock."""
        ...


R = TypeVar("R", bound=HasDeadline)


class DeadlineSweep:
    """Knows when some row of a table may be late. The table itself belongs to the caller.

    For each new row: `if row.deadline < sweep.earliest: sweep.note(row.deadline)`. At `next_wake` or
    later: `if sweep.due(now): for row in sweep.sweep(rows, now): ...`.

    Attributes:
        earliest: Nothing needs a sweep before; infinity when there is no deadline at all.
    """

    __slots__ = ("_granularity_s", "_not_before", "earliest")

    def __init__(self, granularity_s: float = 0.02) -> None:
        """Begin without a row.

        Args:
            granularity_s: The least time between two sweeps, and how late a row may expire.
        """
        self._granularity_s = granularity_s
        self._not_before = -_NEVER
        self.earliest = _NEVER

    def note(self, deadline: float) -> None:
        """Watch for `deadline`; to be called for a new row whose deadline lies before `earliest`."""
        self.earliest = min(self.earliest, max(deadline, self._not_before))

    def due(self, now: float) -> bool:
        """Whether a sweep may find something."""
        return now >= self.earliest

    def sweep(self, rows: Iterable[R], now: float) -> list[R]:
        """Return the rows whose deadline has come, in the table's order, and look ahead to the others.

        Args:
            rows: The whole table. It is not changed: taking the late ones out is left to the caller.
            now: The time.
        """
        late: list[R] = []
        earliest = _NEVER
        for row in rows:
            deadline = row.deadline
            if deadline <= now:
                late.append(row)
            elif deadline < earliest:
                earliest = deadline
        self._not_before = now + self._granularity_s
        self.earliest = max(earliest, self._not_before)
        return late

    def next_wake(self) -> float | None:
        """When to sweep next; None while no row has a deadline."""
        return None if self.earliest == _NEVER else self.earliest
