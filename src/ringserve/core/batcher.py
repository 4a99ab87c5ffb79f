"""When a batch is cut, and of what.

Work-conserving by default: a free run slot takes what is there at once, up to `max_batch` rows; while
all slots are busy, flights gather and the batches grow by themselves, so a lone request waits for
nobody and a crowd shares runs. With `window` an idle slot waits for company instead, up to
`timeout_s`, for models where bigger batches pay more than the wait costs.

Flights share a run when their signatures differ in nothing but the number of rows (`Signature.group`).
Among several groups the one whose oldest flight has waited longest goes first, so no group starves. Within
a group a batch is filled in order of arrival: a flight that does not fit in the room left ends it and
begins the next one, so that no crowd of small requests overtakes a large one.

Flights that were abandoned while queued stay in their queue until it is cut or until they are the
majority; taking one out of the middle would cost a walk for each caller that hangs up.

A flight of more than `max_batch` rows (a `Whole`, see `slices`) keeps its place in the queue and gives as
many of its rows to each batch as there is room for. What comes later waits for all of it, as it waits for
as many rows of others, and shares the run of its last rows.
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ringserve.core.signature import Signature
    from ringserve.core.single_flight import Flight
    from ringserve.core.slices import Slice, Whole

_ABANDONED_MIN = 64


class CutReason(enum.Enum):
    """Why a batch was cut when it was."""

    FULL = "full"
    """It reached `max_batch` (more than 1)."""
    DUE = "due"
    """Its oldest flight had waited `timeout_s`."""
    IDLE = "idle"
    """A run slot was free."""


class Batch:
    """Flights that share one run.

    Attributes:
        flights: In order of arrival.
        signature: That of the first; the others' are of its group.
        rows: Items in all of them.
        full: Whether it had no room for another item, or left items waiting.
        started_at: When it was cut, in seconds of the brain's clock.
    """

    __slots__ = ("flights", "full", "reason", "rows", "signature", "started_at")

    def __init__(self, flights: list[Flight], rows: int, reason: CutReason, now: float) -> None:
        """Bind the flights of one run."""
        self.flights = flights
        self.signature: Signature = flights[0].signature
        self.rows = rows
        self.reason = reason
        self.full = False
        self.started_at = now

    def keep(self, flights: list[Flight]) -> None:
        """Run these of its flights only; the others' rows leave room."""
        self.flights = flights
        self.rows = sum(flight.rows for flight in flights)
        self.full = False
        if flights:
            self.signature = flights[0].signature

    def signatures(self) -> list[Signature] | None:
        """The signature of each flight where their rows differ in number; None where all are as the first."""
        if self.rows == len(self.flights):
            return None
        found = [flight.signature for flight in self.flights]
        rows = self.signature.rows
        return None if all(one.rows == rows for one in found) else found


@dataclass(frozen=True, slots=True)
class BatcherStatistics:
    """The queues at one moment.

    Attributes:
        depth: Rows waiting, abandoned ones left out.
        groups: Queues: a group of signatures has one while a flight of it waits.
        oldest_s: How long the oldest flight has waited, in seconds; 0 while none waits.
    """

    depth: int
    groups: int
    oldest_s: float


class Batcher:
    """The queues of one model, and the rule that cuts them.

    Attributes:
        depth: Rows waiting, abandoned ones left out.
    """

    __slots__ = ("_abandoned", "_groups", "_max_batch", "_timeout_s", "_window", "depth")

    def __init__(self, max_batch: int, timeout_s: float, *, window: bool) -> None:
        """Set the rule.

        Args:
            max_batch: Rows a run at most; a flight with more must be a `Whole`, of which slices run.
            timeout_s: How long a flight may wait for company.
            window: Whether a free slot waits for company at all.
        """
        self._max_batch = max_batch
        self._timeout_s = timeout_s
        self._window = window
        self._groups: dict[bytes, deque[Flight]] = {}
        self._abandoned = 0
        self.depth = 0

    def __iter__(self) -> Iterator[Flight]:
        """Walk over all flights that wait."""
        return (flight for queue in self._groups.values() for flight in queue if flight.calls)

    def add(self, flight: Flight) -> None:
        """Queue a flight."""
        group = flight.signature.group
        queue = self._groups.get(group)
        if queue is None:
            self._groups[group] = queue = deque()
        queue.append(flight)
        self.depth += flight.rows

    def abandon(self, flights: Sequence[Flight]) -> None:
        """Forget queued flights that nobody waits for; all that lost their callers together, at once."""
        for flight in flights:
            self.depth -= flight.rows
            flight.payload = b""
        self._abandoned += len(flights)
        if self._abandoned > _ABANDONED_MIN and self._abandoned > self.depth:
            self._compact()

    def cut(self, now: float) -> Batch | None:
        """Take the next batch for a free slot; None while there is none to take."""
        if not self.depth:
            return None
        queue = self._ripest(now)
        if queue is None:
            return None
        flights: list[Flight] = []
        rows = 0
        max_batch = self._max_batch
        while queue and rows < max_batch:
            flight = queue[0]
            if not flight.calls:
                queue.popleft()
                self._abandoned -= 1
                continue
            if flight.whole is not None:
                flight = _slice(queue, flight.whole, max_batch - rows)
            elif flights and rows + flight.rows > max_batch:
                break
            else:
                queue.popleft()
            flight.running = True
            flights.append(flight)
            rows += flight.rows
        self.depth -= rows
        if not queue:
            del self._groups[flights[0].signature.group]
        batch = Batch(flights, rows, self._reason(flights[0], rows, now), now)
        batch.full = rows >= max_batch or self.depth > 0
        return batch

    def next_wake(self) -> float | None:
        """When a waiting batch falls due though no flight arrives; None when a cut needs no timer."""
        if not (self._window and self.depth):
            return None
        return min(flight.queued_at for flight in self._heads()) + self._timeout_s

    def statistics(self, now: float) -> BatcherStatistics:
        """What waits now."""
        oldest_s = max((now - flight.queued_at for flight in self._heads()), default=0.0)
        return BatcherStatistics(self.depth, len(self._groups), oldest_s)

    def _reason(self, oldest: Flight, rows: int, now: float) -> CutReason:
        if rows >= self._max_batch > 1:
            return CutReason.FULL
        return CutReason.DUE if self._due(oldest, now) else CutReason.IDLE

    def _due(self, oldest: Flight, now: float) -> bool:
        # The very sum that `next_wake` tells: `now - queued_at` may round to just less than the time-out.
        return now >= oldest.queued_at + self._timeout_s

    def _ripest(self, now: float) -> deque[Flight] | None:
        """Find the queue to cut: the one with the oldest flight, among those that are ripe."""
        if len(self._groups) == 1 and not self._window:
            return next(iter(self._groups.values()))
        best: Flight | None = None
        for flight in self._heads():
            if (best is None or flight.queued_at < best.queued_at) and self._ripe(flight, now):
                best = flight
        return None if best is None else self._groups[best.signature.group]

    def _ripe(self, head: Flight, now: float) -> bool:
        if not self._window or self._due(head, now):
            return True
        rows = 0
        for flight in self._groups[head.signature.group]:
            rows += flight.rows if flight.calls else 0
            if rows >= self._max_batch:
                return True
        return False

    def _heads(self) -> Iterator[Flight]:
        """The oldest living flight of each group."""
        for queue in self._groups.values():
            for flight in queue:
                if flight.calls:
                    yield flight
                    break

    def _compact(self) -> None:
        for group, queue in list(self._groups.items()):
            alive = deque(flight for flight in queue if flight.calls)
            if alive:
                self._groups[group] = alive
            else:
                del self._groups[group]
        self._abandoned = 0


def _slice(queue: deque[Flight], whole: Whole, room: int) -> Slice:
    """Take as many rows off the whole at the head of a queue as there is room for."""
    part = whole.take(min(room, whole.rows))
    if not whole.rows:
        queue.popleft()
    return part
