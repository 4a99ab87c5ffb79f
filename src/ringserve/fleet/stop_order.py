"""In which order a fleet goes down. Pure: time is an argument.

Theory of operation::

    GATEWAYS  they were asked to drain; the workers still answer what they have accepted
    WORKERS   the gateways have ended; the workers were asked to drain
    DONE      all have ended

Each stage has a time limit, after which what is left of it is killed. `kill_all` (a second Ctrl-C) kills
everything at once. The caller does what each `look` returns and looks again when a child has ended.
"""

from __future__ import annotations

import enum


class Step(enum.Enum):
    """What the shell is to do."""

    TERMINATE_GATEWAYS = "terminate gateways"
    KILL_GATEWAYS = "kill gateways"
    TERMINATE_WORKERS = "terminate workers"
    KILL_WORKERS = "kill workers"
    DONE = "done"


class _Stage(enum.Enum):
    BEFORE = 0
    GATEWAYS = 1
    WORKERS = 2


class StopOrder:
    """Leads a fleet through its stop."""

    def __init__(self, gateways_limit_s: float, workers_limit_s: float) -> None:
        """Begin before anything was asked to stop.

        Args:
            gateways_limit_s: How long the gateways may take.
            workers_limit_s: How long the workers may take after them.
        """
        self._gateways_limit_s = gateways_limit_s
        self._workers_limit_s = workers_limit_s
        self._stage = _Stage.BEFORE
        self._kill_at = 0.0
        self._killed = False
        self._at_once = False

    def kill_all(self) -> None:
        """Give up draining: the next `look` kills what is left."""
        self._at_once = True

    def look(self, now: float, *, gateways_alive: bool, workers_alive: bool) -> list[Step]:
        """Say what is to be done now, given who still lives."""
        if not gateways_alive and not workers_alive:
            return [Step.DONE]
        if self._at_once:
            self._at_once, self._stage, self._killed = False, _Stage.WORKERS, True
            return [Step.KILL_GATEWAYS, Step.KILL_WORKERS]
        if self._stage is _Stage.BEFORE and gateways_alive:
            return self._enter(_Stage.GATEWAYS, now + self._gateways_limit_s, Step.TERMINATE_GATEWAYS)
        if self._stage is not _Stage.WORKERS and not gateways_alive:
            return self._enter(_Stage.WORKERS, now + self._workers_limit_s, Step.TERMINATE_WORKERS)
        if now >= self._kill_at and not self._killed:
            self._killed = True
            return [Step.KILL_GATEWAYS if self._stage is _Stage.GATEWAYS else Step.KILL_WORKERS]
        return []

    def next_wake(self) -> float | None:
        """Say when `look` may have something new to say if nobody ends."""
        return None if self._killed or self._stage is _Stage.BEFORE else self._kill_at

    def _enter(self, stage: _Stage, kill_at: float, step: Step) -> list[Step]:
        self._stage, self._kill_at, self._killed = stage, kill_at, False
        return [step]
