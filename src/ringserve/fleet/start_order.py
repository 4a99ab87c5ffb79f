"""In which order a fleet comes up, and when it is up. Pure: time is an argument.

A gateway's first failures to connect count toward its breakers, so the gateways are started when every worker
has bound its port (a child beats only after that) or failed, or shortly after the first one is ready; never
before. That a worker is still loading is no failure to a gateway, so its own start overlaps the loading.
"""

from __future__ import annotations

from collections.abc import Sequence

from ringserve.fleet.restart_policy import Phase, RestartPolicy

STRAGGLER_WAIT_S = 1.0
"""How long the gateways' start waits for the other workers once one is ready."""


class StartOrder:
    """Watches the workers of a fleet come up."""

    def __init__(self) -> None:
        """Begin before any worker is ready."""
        self._first_ready: float | None = None
        self.gateways_may_start = False

    def look(self, workers: Sequence[RestartPolicy], now: float) -> None:
        """Update `gateways_may_start`, which stays True once it is."""
        if self.gateways_may_start:
            return
        if self._first_ready is None and any(worker.phase is Phase.READY for worker in workers):
            self._first_ready = now
        waited = self._first_ready is not None and now >= self._first_ready + STRAGGLER_WAIT_S
        bound = all(worker.heard or _settled(worker) for worker in workers)
        # Where all have failed there is nothing yet to route to.
        self.gateways_may_start = waited or (
            bound and any(worker.heard and worker.alive for worker in workers)
        )

    def next_wake(self) -> float | None:
        """Say when `look` may decide by time alone."""
        if self._first_ready is None or self.gateways_may_start:
            return None
        return self._first_ready + STRAGGLER_WAIT_S


def settled(children: Sequence[RestartPolicy]) -> bool:
    """Whether each child is ready, or has died at least once, or is given up."""
    return all(_settled(child) for child in children)


def _settled(child: RestartPolicy) -> bool:
    return child.starts > 1 or (child.starts == 1 and child.phase is not Phase.STARTING)
