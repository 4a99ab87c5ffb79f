"""In which order a fleet comes up, and when it is up. Pure: time is an argument.

The gateway's first failures to connect count toward its breakers, so it is started when every worker has
bound its port or failed, or shortly after the first one is ready; never before.
"""

from __future__ import annotations

from collections.abc import Sequence

from ringserve.fleet.restart_policy import Phase, RestartPolicy

STRAGGLER_WAIT_S = 1.0
"""How long the gateway's start waits for the other workers once one is ready."""


class StartOrder:
    """Watches the workers of a fleet come up."""

    def __init__(self) -> None:
        """Begin before any worker is ready."""
        self._first_ready: float | None = None
        self.gateway_may_start = False

    def look(self, workers: Sequence[RestartPolicy], now: float) -> None:
        """Update `gateway_may_start`, which stays True once it is."""
        if self._first_ready is None and any(worker.phase is Phase.READY for worker in workers):
            self._first_ready = now
        if self._first_ready is None:
            return
        waited = now >= self._first_ready + STRAGGLER_WAIT_S
        self.gateway_may_start = self.gateway_may_start or waited or settled(workers)

    def next_wake(self) -> float | None:
        """Say when `look` may decide by time alone."""
        if self._first_ready is None or self.gateway_may_start:
            return None
        return self._first_ready + STRAGGLER_WAIT_S


def settled(children: Sequence[RestartPolicy]) -> bool:
    """Whether each child is ready, or has died at least once, or is given up."""
    return all(child.phase is not Phase.STARTING and child.starts > 0 for child in children)
