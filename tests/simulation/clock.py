"""Simulated time: what happens next is the earliest event, and nothing takes time by itself."""

import heapq
import itertools
from collections.abc import Callable

Action = Callable[[], None]


class Clock:
    """A heap of events; equal times run in the order they were planned."""

    def __init__(self) -> None:
        self.now = 0.0
        self.events = 0
        self._order = itertools.count()
        self._heap: list[tuple[float, int, Action]] = []

    def at(self, when: float, action: Action) -> None:
        """Plan an event."""
        heapq.heappush(self._heap, (max(when, self.now), next(self._order), action))

    def after(self, delay_s: float, action: Action) -> None:
        """Plan an event from now."""
        self.at(self.now + delay_s, action)

    def run_until(self, end: float, after_each: Action) -> None:
        """Let everything happen that is planned up to `end`."""
        while self._heap and self._heap[0][0] <= end:
            self.now, _, action = heapq.heappop(self._heap)
            action()
            self.events += 1
            after_each()
        self.now = end
