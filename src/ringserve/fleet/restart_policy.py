"""When a child is started, killed, started again and given up. Pure: time is an argument.

Theory of operation. A child is in one of these phases; the shell reports what it sees (`started`, `beat`,
`died`) and asks what to do (`due`)::

    WAITING   --due: START, started-->   STARTING   the back-off has passed
    STARTING  --beat "ready"-->          READY
    STARTING, READY  --due: KILL-->      KILLED     no beat for too long, or unhealthy for too long
    any living  --died-->                WAITING    with a back-off that doubles from death to death,
                                                    and starts small again after a good life
    any living  --died-->                GIVEN_UP   the death that makes a crash loop, or a usage error: its
                                                    cause is in the command line, so another start cannot help

A child that drains because a stranger asked it to goes the same way: it beats until it dies. One that was
asked by us, so that a new process takes its place, goes another::

    STARTING, READY  --leave-->  LEAVING
    LEAVING  --died-->           WAITING    the next start is due at once; this death makes no crash loop
    LEAVING  --due: KILL-->      KILLED     it did not end within its limit
    WAITING, GIVEN_UP  --renew-->  WAITING  due at once: somebody asks for it, who may have mended the cause
"""

from __future__ import annotations

import enum
from collections import deque

from ringserve import limits


class Phase(enum.Enum):
    """Where a child is in its life."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    LEAVING = "draining"
    KILLED = "killed"
    GIVEN_UP = "given up"


class Action(enum.Enum):
    """What the shell is to do for a child now."""

    NONE = "none"
    START = "start"
    KILL = "kill"


class RestartPolicy:
    """Decides for one child when it is started, killed and given up."""

    def __init__(self, now: float) -> None:
        """Begin with a first start that is due at once."""
        self.phase = Phase.WAITING
        self.reason = ""
        """Why the last KILL or the giving up, in words that follow the child's name."""
        self.starts = 0
        self.heard = False
        """Whether the process of this life has said anything yet: its port is bound by then."""
        self._start_at = now
        self._backoff_s = limits.RESTART_BACKOFF_FIRST_S
        self._last_beat = now
        self._ready_since: float | None = None
        self._unhealthy_since: float | None = None
        self._deaths: deque[float] = deque(maxlen=limits.CRASH_LOOP_DEATHS)
        self._leave_by = now
        self._leave_limit_s = 0.0

    @property
    def alive(self) -> bool:
        """Whether there is a process."""
        return self.phase in {Phase.STARTING, Phase.READY, Phase.LEAVING, Phase.KILLED}

    @property
    def been_ready(self) -> bool:
        """Whether the process of this life, or of the last one, ever was ready."""
        return self._ready_since is not None

    def wait_s(self, now: float) -> float:
        """How long until the next start; 0 where none is waited for."""
        return max(0.0, self._start_at - now) if self.phase is Phase.WAITING else 0.0

    def started(self, now: float) -> None:
        """Note that the process was started, as `due` asked."""
        assert self.phase is Phase.WAITING
        self.phase = Phase.STARTING
        self.starts += 1
        self._last_beat = now
        self.heard = False
        self._ready_since = self._unhealthy_since = None

    def beat(self, state: str, healthy: bool, now: float) -> None:
        """Note a beat: the state ("starting", "ready" or "draining") and whether the child is healthy."""
        if not self.alive:
            return
        self._last_beat, self.heard = now, True
        if state == "ready" and self.phase is Phase.STARTING:
            self.phase, self._ready_since = Phase.READY, now
        # A child that loads or drains is not healthy either, and nothing is wrong with it.
        if healthy or state != "ready":
            self._unhealthy_since = None
        elif self._unhealthy_since is None:
            self._unhealthy_since = now

    def leave(self, now: float, limit_s: float) -> None:
        """Note that the process was asked to drain and make room; it is killed when it takes longer."""
        assert self.phase in {Phase.STARTING, Phase.READY}
        self.phase, self._leave_by, self._leave_limit_s = Phase.LEAVING, now + limit_s, limit_s

    def renew(self, now: float) -> None:
        """Make the next start due at once, with a clean record."""
        assert not self.alive
        self.phase, self.reason, self._start_at = Phase.WAITING, "", now
        self._backoff_s = limits.RESTART_BACKOFF_FIRST_S
        self._deaths.clear()

    def died(self, now: float, *, usage_error: bool) -> None:
        """Note that the process ended; afterwards it waits for its next start or is given up."""
        assert self.alive
        if self.phase is Phase.LEAVING:
            self.phase, self._start_at = Phase.WAITING, now
            return
        if self._ready_since is not None and now - self._ready_since >= limits.RESTART_GOOD_LIFE_S:
            self._backoff_s = limits.RESTART_BACKOFF_FIRST_S
        self._deaths.append(now)
        if usage_error:
            self._give_up("its command line cannot be served")
        elif self._is_crash_loop(now):
            self._give_up(
                f"it ended {limits.CRASH_LOOP_DEATHS} times within {limits.CRASH_LOOP_WINDOW_S:g} s"
            )
        else:
            self.phase = Phase.WAITING
            self._start_at = now + self._backoff_s
            self._backoff_s = min(2 * self._backoff_s, limits.RESTART_BACKOFF_MAX_S)

    def due(self, now: float) -> Action:
        """Say what is to be done now. KILL is said once for each life."""
        if self.phase is Phase.WAITING:
            return Action.START if now >= self._start_at else Action.NONE
        if self.phase is Phase.LEAVING:
            return self._due_leaving(now)
        if self.phase not in {Phase.STARTING, Phase.READY}:
            return Action.NONE
        if now >= self._last_beat + self._silence_max_s:
            self.reason = f"said nothing for {self._silence_max_s:g} s"
        elif self._unhealthy_since is not None and now >= self._unhealthy_since + limits.UNHEALTHY_MAX_S:
            self.reason = f"was unhealthy for {limits.UNHEALTHY_MAX_S:g} s"
        else:
            return Action.NONE
        self.phase = Phase.KILLED
        return Action.KILL

    def next_wake(self) -> float | None:
        """Say when `due` may have something new to say if nothing happens; None for never."""
        if self.phase is Phase.WAITING:
            return self._start_at
        if self.phase is Phase.LEAVING:
            return self._leave_by
        if self.phase not in {Phase.STARTING, Phase.READY}:
            return None
        wake = self._last_beat + self._silence_max_s
        if self._unhealthy_since is not None:
            wake = min(wake, self._unhealthy_since + limits.UNHEALTHY_MAX_S)
        return wake

    def _due_leaving(self, now: float) -> Action:
        if now < self._leave_by:
            return Action.NONE
        self.phase, self.reason = Phase.KILLED, f"did not end within {self._leave_limit_s:g} s"
        return Action.KILL

    @property
    def _silence_max_s(self) -> float:
        starting = self.phase is Phase.STARTING
        return limits.START_SILENCE_MAX_S if starting else limits.BEAT_SILENCE_MAX_S

    def _is_crash_loop(self, now: float) -> bool:
        full = len(self._deaths) == limits.CRASH_LOOP_DEATHS
        return full and now - self._deaths[0] <= limits.CRASH_LOOP_WINDOW_S

    def _give_up(self, reason: str) -> None:
        self.phase, self.reason = Phase.GIVEN_UP, reason
