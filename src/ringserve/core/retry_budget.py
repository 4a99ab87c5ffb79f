"""How much retrying is allowed: a share of the requests, and a little more.

When every worker refuses, each retry adds to the load that made them refuse. So over the last
`window_s` there may be no more retries than `ratio` times the requests plus `per_s` a second, as in
Finagle's RetryBudget: a lone failure is always retried, a storm is not doubled.

The window slides in ten slots: it holds the current one and the nine before it. Both counters only go up;
what they were when each slot of the window began is kept, so that counting a request is one comparison
and one addition, and nothing is summed up.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

_SLOTS = 10


@dataclass(frozen=True, slots=True)
class RetryBudgetStatistics:
    """A budget at one moment; `available` as `RetryBudget.available` says, the rest as its attributes."""

    requests: int
    spent: int
    refused: int
    available: float


class RetryBudget:
    """The retries of one gateway. Times are seconds of one monotonic clock, from 0 on.

    Attributes:
        requests: Requests recorded.
        spent: Retries allowed.
        refused: Retries not allowed.
    """

    __slots__ = (
        "_base",
        "_began",
        "_ratio",
        "_slot",
        "_slot_end",
        "_slot_s",
        "refused",
        "requests",
        "spent",
    )

    def __init__(self, ratio: float = 0.2, per_s: float = 10.0, window_s: float = 10.0) -> None:
        """Begin with what `per_s` gives for a whole window.

        Args:
            ratio: Retries for each request.
            per_s: Retries a second beside.
            window_s: How far back both count.
        """
        self._ratio = ratio
        self._base = per_s * window_s
        self._slot_s = window_s / _SLOTS
        self._slot = 0
        self._slot_end = self._slot_s
        # (requests, spent) at the beginning of each slot in the window, the oldest first.
        self._began: deque[tuple[int, int]] = deque([(0, 0)] * _SLOTS, maxlen=_SLOTS)
        self.requests = 0
        self.spent = 0
        self.refused = 0

    def record_request(self, now: float) -> None:
        """Count a request that is not itself a retry; 0.06 us."""
        if now >= self._slot_end:
            self._slide(now)
        self.requests += 1

    def try_spend(self, now: float) -> bool:
        """Take one retry out of the budget; False when there is none."""
        if self.available(now) < 1:
            self.refused += 1
            return False
        self.spent += 1
        return True

    def available(self, now: float) -> float:
        """How many retries may be made now; fractions count towards the next."""
        if now >= self._slot_end:
            self._slide(now)
        requests, spent = self._began[0]
        earned = self._base + self._ratio * (self.requests - requests)
        return max(0.0, earned - (self.spent - spent))

    def statistics(self, now: float) -> RetryBudgetStatistics:
        """What it counts, and what is left of it now."""
        return RetryBudgetStatistics(self.requests, self.spent, self.refused, self.available(now))

    def _slide(self, now: float) -> None:
        slot = int(now // self._slot_s)
        for _ in range(min(slot - self._slot, _SLOTS)):
            self._began.append((self.requests, self.spent))
        self._slot = slot
        self._slot_end = (slot + 1) * self._slot_s
