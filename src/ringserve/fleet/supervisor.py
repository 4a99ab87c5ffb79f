"""The loop of `up`: waits for beats, deaths and signals, and does what the policies say.

Every decision is made elsewhere: `restart_policy` (one child), `start_order`, `stop_order`. One turn reads
what the children said, then buries the dead, then acts; in this order, so that after a stop of `up` itself
(Ctrl-Z) the waiting beats are counted before silence is.
"""

from __future__ import annotations

import logging
import selectors
import signal
import time
from collections.abc import Callable, Mapping, Sequence

from ringserve.errors import UsageError
from ringserve.fleet.child import Child
from ringserve.fleet.restart_policy import Action, Phase
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
        self,
        workers: Sequence[Child],
        gateway: Child,
        environment: Mapping[str, str],
        stop_order: StopOrder,
        when_up: Callable[[], None],
    ) -> None:
        """Take the fleet; nothing is started before `run`.

        Args:
            workers: At least one.
            gateway: Started once the workers are.
            environment: What the children inherit.
            stop_order: How long a stop may take.
            when_up: Called once, when everything is ready (or has failed and is retried).
        """
        self._workers = tuple(workers)
        self._gateway = gateway
        self._children = (*self._workers, gateway)
        self._environment = environment
        self._when_up = when_up
        self._start_order = StartOrder()
        self._stop_order = stop_order
        self._up = False
        self._stopping = False
        self._status = 0
        self._failure: str | None = None
        self._stops_seen = 0
        self._selector = selectors.DefaultSelector()

    def run(self) -> int:
        """Run the fleet until it is stopped or cannot go on.

        Returns:
            0 after a clean stop; 1 where something was given up or had to be killed; 2 where a child could
            not start and has said why itself.

        Raises:
            UsageError: A child could not start: its sentence.
        """
        with Signals() as signals:
            self._selector.register(signals, selectors.EVENT_READ)
            try:
                while not self._turn(signals, time.monotonic()):
                    self._wait(signals)
            finally:
                self._leave_nothing()
        if self._failure:
            raise UsageError(self._failure)
        return self._status

    def _turn(self, signals: Signals, now: float) -> bool:
        """Do everything that is due; True when all is over."""
        for child in self._children:
            self._hear(child, now)
        for child in self._children:
            self._bury(child, now)
        if signals.stops > self._stops_seen:
            self._asked_to_stop(signals.stops)
        if not self._stopping:
            self._carry_on(now)
        # Giving up may just have begun the stop, which then must not wait for the next event.
        return self._stopping and self._stop(now)

    def _carry_on(self, now: float) -> None:
        self._start_order.look([worker.policy for worker in self._workers], now)
        for child in self._children:
            if child is not self._gateway or self._start_order.gateway_may_start:
                self._act(child, now)
        self._look_whether_up()

    def _hear(self, child: Child, now: float) -> None:
        for said in child.read():
            was = child.policy.phase
            child.policy.beat(said.state, said.healthy, now)
            if self._up and child.policy.phase is Phase.READY and was is not Phase.READY:
                _log.info("%s is ready again", child.name)
        channel = child.channel
        if channel is not None and channel.ended and channel.fileno() in self._selector.get_map():
            self._selector.unregister(channel)  # an end of file stays readable: the loop would spin

    def _bury(self, child: Child, now: float) -> None:
        status = child.reap()
        if status is None:
            return
        self._forget_channel(child)
        was = child.policy.phase
        child.policy.died(now, usage_error=status == _STATUS_USAGE)
        if self._stopping:
            # One that was still starting may not have had its handler yet.
            fine = status == 0 or (status == -signal.SIGTERM and was is Phase.STARTING)
            self._status = self._status or (0 if fine else 1)
            return
        if status == _STATUS_USAGE and not self._up:
            self._cannot_start(child)
            return
        self._tell_death(child, how_it_ended(status), now)

    def _tell_death(self, child: Child, how: str, now: float) -> None:
        if child.policy.phase is not Phase.GIVEN_UP:
            wait_s = child.policy.wait_s(now)
            _log.warning("%s %s; it is started again in %.1f s", child.name, how, wait_s)
            return
        reason = child.fatal or child.policy.reason
        _log.error("%s %s and is given up: %s", child.name, how, reason)
        workers_left = any(worker.policy.phase is not Phase.GIVEN_UP for worker in self._workers)
        if child is self._gateway or not workers_left:
            _log.error("%s is left: the rest is stopped", "no gateway" if workers_left else "no worker")
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
            child.start(self._environment)
        except OSError as error:
            child.policy.died(now, usage_error=False)
            self._tell_death(child, f"could not be started ({error.strerror or error})", now)
            return
        if child.channel is not None:
            self._selector.register(child.channel, selectors.EVENT_READ)

    def _look_whether_up(self) -> None:
        if self._up or self._stopping or self._gateway.policy.phase is not Phase.READY:
            return
        if settled([worker.policy for worker in self._workers]):
            self._up = True
            self._when_up()

    def _asked_to_stop(self, stops: int) -> None:
        if self._stopping:
            _log.warning("stopping at once")
            self._stop_order.kill_all()
        self._stopping, self._stops_seen = True, stops

    def _stop(self, now: float) -> bool:
        """Take the stop as far as it goes now; True when nothing is left."""
        steps = self._stop_order.look(
            now,
            gateway_alive=self._gateway.alive,
            workers_alive=any(worker.alive for worker in self._workers),
        )
        for step in steps:
            self._take(step)
        return Step.DONE in steps

    def _take(self, step: Step) -> None:
        quiet = self._failure is not None
        if step is Step.DONE:
            _log.log(logging.DEBUG if quiet else logging.INFO, "all have ended")
            return
        of_gateway = step in {Step.TERMINATE_GATEWAY, Step.KILL_GATEWAY}
        living = [child for child in ((self._gateway,) if of_gateway else self._workers) if child.alive]
        kill = step in {Step.KILL_GATEWAY, Step.KILL_WORKERS}
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

        While all is well only signals (a child's death among them) wake us at once, and the beats are read
        once a second: waking for each of them would cost ten times as much processor time.
        """
        timeout_s = self._timeout_s(time.monotonic())
        if (
            self._up
            and not self._stopping
            and all(child.policy.phase is Phase.READY for child in self._children)
        ):
            signals.wait(_QUIET_LOOK_S if timeout_s is None else min(timeout_s, _QUIET_LOOK_S))
        else:
            self._selector.select(timeout_s)
        signals.drain()

    def _timeout_s(self, now: float) -> float | None:
        if self._stopping:
            wakes = [self._stop_order.next_wake()]
        else:
            started = self._children if self._start_order.gateway_may_start else self._workers
            wakes = [self._start_order.next_wake(), *(child.policy.next_wake() for child in started)]
        return min((max(0.0, wake - now) for wake in wakes if wake is not None), default=None)

    def _forget_channel(self, child: Child) -> None:
        channel = child.channel
        if channel is not None and channel.fileno() in self._selector.get_map():
            self._selector.unregister(channel)
        child.close_channel()

    def _leave_nothing(self) -> None:
        """Whatever happened above, no process and no socket stays."""
        for child in self._children:
            child.kill()
            while child.alive and child.reap() is None:
                time.sleep(0.001)  # a killed process ends within moments
            self._forget_channel(child)
        self._selector.close()


def how_it_ended(status: int) -> str:
    """Word an exit status: "ended with status 3", "was ended by SIGKILL"."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
