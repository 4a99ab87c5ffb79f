"""Simulated time: what happens next is the earliest event, and nothing takes time by itself."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from contextvars import Context
from typing import Any, Protocol

Action = Callable[[], None]


class Owner(Protocol):
    """Whose event it is: a process that may be dead, or asleep."""

    def admits(self, event: Event) -> bool:
        """Whether the event may happen now; who says no drops it or keeps it for later."""

    def enter(self) -> None:
        """Become the process that runs."""


class Event:
    """Something planned; also what asyncio calls a handle.

    Attributes:
        io: Whether it comes from the network rather than from a timer: after a sleep one kind may come first.
    """

    __slots__ = ("args", "callback", "context", "io", "owner", "when")

    def __init__(
        self,
        when: float,
        callback: Callable[..., object] | None,
        args: tuple[Any, ...],
        owner: Owner | None = None,
        context: Context | None = None,
        io: bool = False,
    ) -> None:
        self.when = when
        self.callback = callback
        self.args = args
        self.owner = owner
        self.context = context
        self.io = io

    def cancel(self) -> None:
        """Let it never happen."""
        self.callback = None
        self.args = ()

    def cancelled(self) -> bool:
        """Whether it will never happen."""
        return self.callback is None


class Clock:
    """A heap of events; equal times run in the order in which they were planned.

    Attributes:
        now: Seconds since the world began.
        events: How many have happened.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.events = 0
        self._order = itertools.count()
        self._heap: list[tuple[float, int, Event]] = []

    def plan(self, event: Event) -> Event:
        """Let an event happen at its time, or now if that is past."""
        heapq.heappush(self._heap, (max(event.when, self.now), next(self._order), event))
        return event

    def at(self, when: float, action: Callable[..., object], *args: object) -> Event:
        """Plan something that belongs to no process."""
        return self.plan(Event(when, action, args))

    def run_until(self, end: float, after_each: Callable[[Owner], None]) -> None:
        """Let everything happen that is planned up to `end`; `after_each` sees the process it happened to."""
        heap, pop = self._heap, heapq.heappop
        while heap and heap[0][0] <= end:
            self.now, _, event = pop(heap)
            callback, owner = event.callback, event.owner
            if callback is None:
                continue
            if owner is None:
                self.events += 1
                callback(*event.args)
            elif owner.admits(event):
                self.events += 1
                owner.enter()
                if event.context is None:
                    callback(*event.args)
                else:
                    event.context.run(callback, *event.args)
                after_each(owner)
        self.now = end
