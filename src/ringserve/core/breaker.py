"""The circuit breaker: keeps requests away from a worker that keeps failing.

Theory of operation. One breaker watches one worker. Whoever wants to send asks `try_acquire` for a
permit, and hands it back by exactly one of `succeed`, `fail` and `release` (neither: cancelled, out of
time, the worker going away). What fails without a permit (a lost link, a failed reconnection) is told by
`fail_unpermitted`: one failure, however much was in flight.

===========  =========================================  ===========================================
state        event                                      next state
===========  =========================================  ===========================================
CLOSED       succeed                                    CLOSED, failures back to 0
CLOSED       fail, fail_unpermitted                     CLOSED; the threshold's consecutive one: OPEN
CLOSED       release, new_incarnation                   CLOSED, nothing changes
OPEN         timeout_s since it opened                  HALF_OPEN
OPEN         fail_unpermitted                           OPEN until the same time as before
OPEN         new_incarnation                            HALF_OPEN
HALF_OPEN    succeed                                    HALF_OPEN; the threshold's success: CLOSED
HALF_OPEN    fail, fail_unpermitted                     OPEN, for timeout_s from now
HALF_OPEN    release                                    HALF_OPEN, the next trial may go
HALF_OPEN    new_incarnation                            HALF_OPEN, a new period from its beginning
===========  =========================================  ===========================================

OPEN gives no permits; HALF_OPEN one at a time, the trial; CLOSED any number.

A permit is the number of the generation it was given in; each arrow into another state, and each new
half-open period, begins a generation. An outcome of an older generation says nothing about the worker as
it is now and is dropped, so a late success cannot close a breaker, nor a late failure re-open it. A plain
int, not an object: on the hot path a permit costs nothing to make.

Decisions worth knowing:

* A worker that stays down fails one reconnection after another. Would each extend the time-out, a worker
  that comes back could wait for ever, so in OPEN they are counted and no more. Once the time is up the
  next failed reconnection is a failure in HALF_OPEN: OPEN again.
* A new incarnation leaves CLOSED alone, its failures too. A worker that dies of its requests and comes
  back each time must still open the breaker.
* In HALF_OPEN a new incarnation frees the trial: it died with the process that had it. Successes of the
  dead process do not vouch for the new one and are forgotten.

The time-out passes without a call: `state_at` and `may_acquire` see it at once. The transition itself,
with its counter, is booked by the next call that changes something.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class BreakerState(enum.Enum):
    """What a breaker lets through."""

    CLOSED = "CLOSED"
    """Everything."""
    OPEN = "OPEN"
    """Nothing."""
    HALF_OPEN = "HALF_OPEN"
    """One trial at a time."""


_CLOSED, _OPEN, _HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN

TRANSITIONS: tuple[tuple[BreakerState, str, BreakerState], ...] = (
    (_CLOSED, "the threshold's consecutive failure", _OPEN),
    (_OPEN, "time-out", _HALF_OPEN),
    (_OPEN, "new incarnation", _HALF_OPEN),
    (_HALF_OPEN, "the threshold's success", _CLOSED),
    (_HALF_OPEN, "any failure", _OPEN),
)
"""Every arrow between two states and its cause, for diagrams; a test compares it with what happens."""


@dataclass(frozen=True, slots=True)
class BreakerStatistics:
    """A breaker at one moment: attributes as in `Breaker`, and what `state_at` says."""

    state: BreakerState
    failures: int
    successes: int
    permits: int
    opened: int
    half_opened: int
    closed: int


class Breaker:
    """The breaker of one worker. Times are seconds of one monotonic clock.

    Attributes:
        failures: Consecutive failures up to now.
        successes: Successful trials of this half-open period; 0 in any other state.
        permits: Permits given and not yet handed back.
        opened: How often it went OPEN.
        half_opened: How many half-open periods began.
        closed: How often it went back to CLOSED.
    """

    __slots__ = (
        "_failure_threshold",
        "_generation",
        "_open_until",
        "_state",
        "_success_threshold",
        "_timeout_s",
        "_trial",
        "closed",
        "failures",
        "half_opened",
        "opened",
        "permits",
        "successes",
    )

    def __init__(self, failure_threshold: int, success_threshold: int, timeout_s: float) -> None:
        """Begin CLOSED.

        Args:
            failure_threshold: Consecutive failures that open it, at least 1.
            success_threshold: Successful trials that close it, at least 1.
            timeout_s: How long it stays OPEN before a trial.
        """
        assert failure_threshold >= 1
        assert success_threshold >= 1
        self._failure_threshold = failure_threshold
        self._success_threshold = success_threshold
        self._timeout_s = timeout_s
        self._state = _CLOSED
        self._generation = 1
        self._open_until = 0.0
        self._trial = False
        self.failures = 0
        self.successes = 0
        self.permits = 0
        self.opened = 0
        self.half_opened = 0
        self.closed = 0

    def state_at(self, now: float) -> BreakerState:
        """Read the state; HALF_OPEN as soon as the time-out is over."""
        if self._state is _OPEN and now >= self._open_until:
            return _HALF_OPEN
        return self._state

    def may_acquire(self, now: float) -> bool:
        """Whether `try_acquire` would give a permit; changes nothing."""
        if self._state is _CLOSED:
            return True
        return self.state_at(now) is _HALF_OPEN and not self._trial

    def try_acquire(self, now: float) -> int:
        """Take a permit to send one request, or 0 when refused.

        Hand it back by exactly one of `succeed`, `fail` and `release`: 0.16 us for both while CLOSED.
        """
        if self._state is not _CLOSED:
            self._settle(now)
            if self._state is _OPEN or self._trial:
                return 0
            self._trial = True
        self.permits += 1
        return self._generation

    def succeed(self, permit: int, now: float) -> None:
        """Hand back a permit: the worker answered, whatever it answered."""
        self.permits -= 1
        assert self.permits >= 0, "a permit was handed back twice"
        if permit != self._generation:
            return
        self.failures = 0
        if self._state is not _CLOSED:
            self._trial = False
            self.successes += 1
            if self.successes >= self._success_threshold:
                self._enter(_CLOSED, now)

    def fail(self, permit: int, now: float) -> None:
        """Hand back a permit: the worker failed."""
        self.permits -= 1
        assert self.permits >= 0, "a permit was handed back twice"
        if permit == self._generation:
            self._count_failure(now)

    def release(self, permit: int, now: float) -> None:  # noqa: ARG002 -- takes what its siblings take
        """Hand back a permit unused: cancelled, out of time, or the worker is going away."""
        self.permits -= 1
        assert self.permits >= 0, "a permit was handed back twice"
        if permit == self._generation:
            self._trial = False

    def fail_unpermitted(self, now: float) -> None:
        """Count one failure that no single request stands for: a lost link, a failed reconnection.

        The permits in flight on a lost link are still to be handed back, by `release`.
        """
        self._settle(now)
        self._count_failure(now)

    def new_incarnation(self, now: float) -> None:
        """Let a trial go at once: the worker has come back as a new process."""
        self._settle(now)
        if self._state is not _CLOSED:
            self._enter(_HALF_OPEN, now)

    def next_wake(self, now: float) -> float | None:
        """When OPEN ends; None when time alone changes nothing."""
        return self._open_until if self.state_at(now) is _OPEN else None

    def statistics(self, now: float) -> BreakerStatistics:
        """What it counts, and its state now."""
        return BreakerStatistics(
            self.state_at(now),
            self.failures,
            self.successes,
            self.permits,
            self.opened,
            self.half_opened,
            self.closed,
        )

    def _settle(self, now: float) -> None:
        """Book the transition that time has brought."""
        if self._state is _OPEN and now >= self._open_until:
            self._enter(_HALF_OPEN, now)

    def _count_failure(self, now: float) -> None:
        self.failures += 1
        if self._state is _HALF_OPEN or (self._state is _CLOSED and self.failures >= self._failure_threshold):
            self._enter(_OPEN, now)

    def _enter(self, state: BreakerState, now: float) -> None:
        """Begin a generation in `state`; what is in flight from before no longer counts."""
        self._state = state
        self._generation += 1
        self._trial = False
        self.successes = 0
        if state is _OPEN:
            self._open_until = now + self._timeout_s
            self.opened += 1
        elif state is _HALF_OPEN:
            self.half_opened += 1
        else:
            self.closed += 1
