"""Where a model runs: in the event loop, or in a thread.

Handing a run to a thread and back costs two wake-ups, more than a tiny model takes to run; but a run in
the loop stalls everybody else. So a model starts in the loop only when a full batch took well under
`START_MAX_S` at warm-up, leaves it when runs turn out longer, and comes back when they are short again.
Runs are judged by the thread's CPU time: a run that was preempted is not a slow run.
"""

from __future__ import annotations

from collections import deque
from statistics import median

START_MAX_S = 100e-6
MEDIAN_MAX_S = 200e-6
SINGLE_MAX_S = 5e-3
RUNS_JUDGED = 64


class RunPlace:
    """Judges runs and says where the next one goes.

    Attributes:
        inline: Whether the next run goes in the event loop.
        moves: How often that changed.
    """

    __slots__ = ("_recent", "_until_judged", "inline", "moves")

    def __init__(self, full_batch_s: float, *, allowed: bool = True) -> None:
        """Judge by the warm-up.

        Args:
            full_batch_s: Seconds that a run at max-batch took at warm-up.
            allowed: False keeps every run in a thread.
        """
        self.inline = allowed and full_batch_s < START_MAX_S
        self.moves = 0
        self._recent: deque[float] = deque(maxlen=RUNS_JUDGED if allowed else 0)
        self._until_judged = RUNS_JUDGED

    def observe(self, cpu_s: float) -> None:
        """Note the CPU time of a run, in seconds."""
        self._recent.append(cpu_s)
        if self.inline and cpu_s > SINGLE_MAX_S:
            self._move()
            return
        self._until_judged -= 1
        if self._until_judged <= 0:
            self._judge()

    def _judge(self) -> None:
        """Judge once in `RUNS_JUDGED` runs: a median for each run would cost as much as the run."""
        self._until_judged = RUNS_JUDGED
        if not self._recent:
            return
        typical = median(self._recent)
        if (
            typical > MEDIAN_MAX_S
            if self.inline
            else typical < START_MAX_S and max(self._recent) <= SINGLE_MAX_S
        ):
            self._move()

    def _move(self) -> None:
        self.inline = not self.inline
        self.moves += 1
        self._recent.clear()
        self._until_judged = RUNS_JUDGED
