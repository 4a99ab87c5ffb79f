"""One timer for all that is timed in a brain.

The brains' clock is `time.monotonic`, not the loop's: uvloop counts whole milliseconds, in which a fast
model's run takes no time at all. Both count from the same moment, so a time of one is a time of the other.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Timer:
    """Calls `tick(now)` when the brain's `next_wake(now)` says so, and at least once in `idle_s`.

    Attributes:
        at: When it fires next, in seconds.
    """

    def __init__(
        self, tick: Callable[[float], None], next_wake: Callable[[float], float | None], idle_s: float
    ) -> None:
        """Prepare; `start` arms it."""
        self._tick = tick
        self._next_wake = next_wake
        self._idle_s = idle_s
        self._handle: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self.at = 0.0

    def start(self) -> None:
        """Arm it for the first time."""
        self._arm(monotonic())

    def wake_by(self, at: float) -> None:
        """Fire no later than this. The hot path calls it only where `at < timer.at`."""
        if self._handle is not None:
            self._handle.cancel()
        self.at = at
        self._handle = self._loop.call_at(at, self._fire)

    def stop(self) -> None:
        """Never fire again."""
        if self._handle is not None:
            self._handle.cancel()

    def _arm(self, now: float) -> None:
        wake = self._next_wake(now)
        latest = now + self._idle_s
        self.wake_by(latest if wake is None else max(now + 0.0005, min(wake, latest)))

    def _fire(self) -> None:
        now = monotonic()
        self._tick(now)
        self._arm(now)
