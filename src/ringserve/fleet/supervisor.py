"""The loop of `up`: waits for beats, deaths, signals and questions, and does what the policies say.

Every decision is made elsewhere: `restart_policy` (one child), `start_order`, `stop_order`, `roll_order`. One
turn reads what the children said, then buries the dead, then acts; in this order, so that after a stop of
`up` itself (Ctrl-Z) the waiting beats are counted before silence is.
"""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable

from ringserve.errors import UsageError
from ringserve.fleet.child import Child
from ringserve.fleet.control import Control
from ringserve.fleet.crew import Crew
from ringserve.fleet.restart_policy import Action, Phase
from ringserve.fleet.roll import Limits, Roll
from ringserve.fleet.signals import Signals
from ringserve.fleet.start_order import StartOrder, settled
from ringserve.fleet.stop_order import Step, StopOrder

_log = logging.getLogger("ringserve.fleet")
_STATUS_USAGE = 2
_QUIET_LOOK_S = 1.0
_START_FAILED_LIMIT_S = 2.0
"""How long the others may take to end where the fleet cannot start."""


class Supervisor:
    """Starts, watches, restarts and stops the children of one `up`."""

    def __init__(
        self, crew: Crew, drain_limits: Limits, when_up: Callable[[], None], control: Control | None = None
    ) -> None:
        """Take the fleet; nothing is started before `run`.

        Args:
            crew: The children.
            drain_limits: How long they may take to drain.
            when_up: Called once, when everything is ready (or has failed and is retried).
            control: Where a restart is asked for, besides by signal.
        """
        self._crew = crew
        self._drain_limits = drain_limits
        self._when_up = when_up
        self._control = control
        self._start_order = StartOrder()
        self._stop_order = StopOrder(drain_limits.gateway_s, drain_limits.worker_s)
        self._roll: Roll | None = None
        self._roll_wanted = False
        self._up = False
        self._stopping = False
        self._status = 0
        self._failure: str | None = None
        self._stops_seen = 0
        self._restarts_seen = 0

    def run(self) -> int:
        """Run the fleet until it is stopped or cannot go on.

        Returns:
            0 after a clean stop; 1 where something was given up or had to be killed; 2 where a child could
            not start and has said why itself.

        Raises:
            UsageError: A child could not start: its sentence.
        """
        with Signals() as signals:
            try:
                while not self._turn(signals, time.monotonic()):
                    self._wait(signals)
            finally:
                self._crew.leave_nothing()
        if self._failure:
            raise UsageError(self._failure)
        return self._status

    def _turn(self, signals: Signals, now: float) -> bool:
        """Do everything that is due; True when all is over."""
        for child in self._crew.hear(now):
            if self._up:
                _log.info("%s is ready again", child.name)
        for child, status in self._crew.bury():
            self._buried(child, status, now)
        if signals.stops > self._stops_seen:
            self._asked_to_stop(signals.stops)
        self._look_for_restarts(signals)
        if not self._stopping:
            self._carry_on(now)
        # Giving up may just have begun the stop, which then must not wait for the next event.
        return self._stopping and self._stop(now)

    def _carry_on(self, now: float) -> None:
        self._start_order.look([worker.policy for worker in self._crew.workers], now)
        for child in self._crew.everyone:
            if child.role != "gateway" or self._start_order.gateways_may_start:
                self._act(child, now)
        self._look_whether_up()
        if self._roll_wanted and self._up:
            self._begin_roll(now)
        if self._roll is not None:
            self._roll.turn(now)
            if self._roll.is_over:
                self._end_roll(self._roll.failure)

    def _buried(self, child: Child, status: int, now: float) -> None:
        policy, was = child.policy, child.policy.phase
        usage_error = status == _STATUS_USAGE
        # One that was still starting may not have had its handler yet.
        fine = status == 0 or (status == -signal.SIGTERM and not policy.been_ready)
        policy.died(now, usage_error=usage_error)
        child.ended = child.fatal or f"it {how_it_ended(status)}"
        if self._stopping:
            self._status = self._status or (0 if fine else 1)
        elif child in self._crew.beside:
            self._crew.beside.remove(child)
            self._tell_end_of_leaver(child, how_it_ended(status), fine=fine)
        elif was is Phase.LEAVING:
            self._tell_end_of_leaver(child, how_it_ended(status), fine=fine)
        elif usage_error and not self._up:
            self._cannot_start(child)
        else:
            self._tell_death(child, how_it_ended(status), now)

    def _tell_end_of_leaver(self, child: Child, how: str, *, fine: bool) -> None:
        if fine:
            _log.info("%s has drained", child.name)
        elif self._roll is not None:
            self._roll.ended_badly(child, how)
        else:
            _log.warning("%s %s", child.name, how)

    def _tell_death(self, child: Child, how: str, now: float) -> None:
        if child.policy.phase is not Phase.GIVEN_UP:
            wait_s = child.policy.wait_s(now)
            _log.warning("%s %s; it is started again in %.1f s", child.name, how, wait_s)
            return
        reason = child.fatal or child.policy.reason
        _log.error("%s %s and is given up: %s", child.name, how, reason)
        for role, children in (("gateway", self._crew.of_gateways), ("worker", self._crew.workers)):
            if all(one.policy.phase is Phase.GIVEN_UP for one in children) and not self._stopping:
                _log.error("no %s is left: the rest is stopped", role)
                self._status, self._stopping = 1, True

    def _cannot_start(self, child: Child) -> None:
        """Stop everything; `run` then raises the child's sentence, or leaves it to what the child printed."""
        self._status, self._failure = _STATUS_USAGE, child.fatal
        self._stop_order = StopOrder(_START_FAILED_LIMIT_S, _START_FAILED_LIMIT_S)
        self._stopping = True

    def _act(self, child: Child, now: float) -> None:
        action = child.policy.due(now)
        if action is Action.KILL:
            _log.warning("%s %s: it is killed", child.name, child.policy.reason)
            child.kill()
        elif action is Action.START:
            self._start(child, now)

    def _start(self, child: Child, now: float) -> None:
        child.policy.started(now)
        try:
            self._crew.start(child)
        except OSError as error:
            child.policy.died(now, usage_error=False)
            self._tell_death(child, f"could not be started ({error.strerror or error})", now)

    def _look_whether_up(self) -> None:
        gateways = [gateway.policy for gateway in self._crew.gateways]
        if self._up or self._stopping or not any(one.phase is Phase.READY for one in gateways):
            return
        if settled([*gateways, *(worker.policy for worker in self._crew.workers)]):
            self._up = True
            self._when_up()

    def _look_for_restarts(self, signals: Signals) -> None:
        if signals.restarts > self._restarts_seen:
            self._restarts_seen = signals.restarts
            if refusal := self._want_roll():
                _log.warning("SIGHUP: %s", refusal)
        if self._control is not None:
            self._control.turn(self._want_roll)

    def _want_roll(self) -> str:
        """Have a restart begin as soon as all is up; returns why that cannot be."""
        if self._stopping:
            return "this fleet is being stopped"
        if self._roll is not None or self._roll_wanted:
            return "a restart is already under way"
        self._roll_wanted = True
        if not self._up:
            self._tell(of=len(self._crew.placed), note="this fleet is still starting; the restart comes then")
        return ""

    def _begin_roll(self, now: float) -> None:
        self._roll_wanted = False
        self._roll = Roll(self._crew, self._drain_limits, self._tell, now)
        _log.info("restarting %s", ", ".join(child.name for child in self._crew.placed))
        note = ""
        if len(self._crew.workers) == 1:
            note = "there is one worker: requests get 503 until its successor is ready"
            _log.warning("%s", note)
        self._tell(of=len(self._crew.placed), note=note)

    def _end_roll(self, failure: str) -> None:
        self._roll, self._roll_wanted = None, False
        if failure:
            _log.error("the restart has ended early: %s; what serves keeps serving", failure)
        else:
            _log.info("all were restarted")
        if self._control is not None:
            self._control.end(failure)

    def _tell(self, **message: object) -> None:
        if self._control is not None:
            self._control.tell(**message)

    def _asked_to_stop(self, stops: int) -> None:
        if self._stopping:
            _log.warning("stopping at once")
            self._stop_order.kill_all()
        self._stopping, self._stops_seen = True, stops

    def _stop(self, now: float) -> bool:
        """Take the stop as far as it goes now; True when nothing is left."""
        if self._roll is not None or self._roll_wanted:
            self._end_roll("this fleet is being stopped")
        steps = self._stop_order.look(
            now,
            gateways_alive=any(gateway.alive for gateway in self._crew.of_gateways),
            workers_alive=any(worker.alive for worker in self._crew.workers),
        )
        for step in steps:
            self._take(step)
        return Step.DONE in steps

    def _take(self, step: Step) -> None:
        quiet = self._failure is not None
        if step is Step.DONE:
            _log.log(logging.DEBUG if quiet else logging.INFO, "all have ended")
            return
        self._crew.close_listening()
        of_gateways = step in {Step.TERMINATE_GATEWAYS, Step.KILL_GATEWAYS}
        children = self._crew.of_gateways if of_gateways else self._crew.workers
        living = [child for child in children if child.alive]
        kill = step in {Step.KILL_GATEWAYS, Step.KILL_WORKERS}
        names = ", ".join(child.name for child in living)
        if living and not quiet:
            _log.log(
                logging.WARNING if kill else logging.INFO, "%s %s", "killing" if kill else "draining", names
            )
        for child in living:
            if kill:
                child.kill()
            else:
                child.terminate()

    def _wait(self, signals: Signals) -> None:
        """Wait for something to do.

        While all is well only signals (a child's death among them) and questions wake us at once, and the
        beats are read once a second: waking for each of them would cost ten times as much processor time.
        """
        timeout_s = self._timeout_s(time.monotonic())
        others = self._control.filenos() if self._control is not None else []
        if self._up and not self._stopping and self._roll is None and self._crew.is_calm():
            timeout_s = _QUIET_LOOK_S if timeout_s is None else min(timeout_s, _QUIET_LOOK_S)
        else:
            others += self._crew.channels()
        signals.wait(others, timeout_s)
        signals.drain()

    def _timeout_s(self, now: float) -> float | None:
        if self._stopping:
            wakes = [self._stop_order.next_wake()]
        else:
            started = (
                self._crew.everyone if self._start_order.gateways_may_start else list(self._crew.workers)
            )
            wakes = [self._start_order.next_wake(), *(child.policy.next_wake() for child in started)]
            if self._roll is not None:
                wakes.append(self._roll.next_wake())
        return min((max(0.0, wake - now) for wake in wakes if wake is not None), default=None)


def how_it_ended(status: int) -> str:
    """Word an exit status: "ended with status 3", "was ended by SIGKILL"."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
