"""The loop of `ringserve up`: start, watch, restart, give up, drain.

Nothing is polled quickly and nothing needs a thread: the loop wakes a few times a second to read the
children's beats and to reap those that ended. Every decision is the children's policies' and the start
order's; this file only acts on them.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from types import FrameType

from ringserve.errors import UsageError
from ringserve.fleet.child import Child
from ringserve.fleet.restart_policy import Action, Phase
from ringserve.fleet.start_order import StartOrder

LOOK_S = 0.05
QUIET_LOOK_S = 0.2
"""How often the loop looks while something is under way, and while all is quiet."""

KILL_MARGIN_S = 5.0
"""How much longer than its own time-out a drain is waited for."""


class Supervisor:
    """Keeps one gateway and its workers running until told to stop."""

    def __init__(
        self,
        workers: Sequence[Child],
        gateway: Child,
        drain_timeout_s: float,
        say: Callable[[str], None],
        show: Callable[[], None],
    ) -> None:
        """Prepare; `run` begins.

        Args:
            workers: Started at once.
            gateway: Started when the start order says so.
            drain_timeout_s: How long a child may drain.
            say: Shows one line.
            show: Shows the table of what runs where.
        """
        self._workers = list(workers)
        self._gateway = gateway
        self._drain_timeout_s = drain_timeout_s
        self._say = say
        self._show = show
        self._order = StartOrder()
        self._shown = False
        self._signals = 0

    def run(self) -> int:
        """Run until a signal or the end of what cannot be replaced; returns the exit status.

        Raises:
            UsageError: A child cannot be served as it was asked for.
        """
        previous = [
            (number, signal.signal(number, self._on_signal)) for number in (signal.SIGTERM, signal.SIGINT)
        ]
        try:
            while not self._signals:
                ended = self._look(time.monotonic())
                if ended is not None:
                    return ended
                time.sleep(QUIET_LOOK_S if self._shown else LOOK_S)
            return 0 if self._drain() else 1
        finally:
            self._kill_all()
            for number, handler in previous:
                signal.signal(number, handler)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._signals += 1

    def _look(self, now: float) -> int | None:
        """Look at every child once; returns an exit status when `up` is at its end."""
        for child in (*self._workers, self._gateway):
            child.listen(now)
            status = child.reap(now)
            if status is not None:
                self._mourn(child, status, now)
        self._order.look([worker.policy for worker in self._workers], now)
        due = [*self._workers, self._gateway] if self._order.gateway_may_start else self._workers
        for child in due:
            if child.act(now) is Action.KILL:
                self._say(f"{child.name} {child.policy.reason}: it is killed and started again")
        if not self._shown and self._gateway.policy.phase is Phase.READY:
            self._shown = True
            self._show()
        return self._end()

    def _mourn(self, child: Child, status: int, now: float) -> None:
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        if child.fatal and not self._shown:
            self._kill_all()  # nothing was served yet, and the one line that matters is the child's
            raise UsageError(child.fatal)
        if child.policy.phase is Phase.GIVEN_UP:
            why = child.fatal or child.policy.reason
            self._say(f"{child.name} {how} and is given up: {why}; the rest goes on without it")
        else:
            self._say(f"{child.name} {how}; started again in {child.policy.wait_s(now):.1f} s")

    def _end(self) -> int | None:
        given_up = [child.policy.phase is Phase.GIVEN_UP for child in self._workers]
        if not all(given_up) and self._gateway.policy.phase is not Phase.GIVEN_UP:
            return None
        self._say("the gateway is given up" if not all(given_up) else "the last worker is given up")
        self._drain()
        return 1

    def _drain(self) -> bool:
        """Drain the gateway, then the workers; whether all ended well."""
        good = True
        for group, what in (([self._gateway], "the gateway"), (self._workers, "the workers")):
            running = [child for child in group if child.running]
            if running:
                self._say(f"draining {what}")
                good = self._drain_group(running) and good
        self._say("stopped" if good else "stopped, but not everything could be finished")
        return good

    def _drain_group(self, children: list[Child]) -> bool:
        for child in children:
            child.terminate()
        signals = self._signals
        until = time.monotonic() + self._drain_timeout_s + KILL_MARGIN_S
        good = True
        while children:
            now = time.monotonic()
            statuses = [(child, child.reap(now)) for child in children]
            good = good and all(status in {None, 0} for _child, status in statuses)
            children = [child for child, status in statuses if status is None]
            if children and (now >= until or self._signals > signals):
                for child in children:
                    child.kill()
                good = False
                until = now + KILL_MARGIN_S
                signals = self._signals
            time.sleep(LOOK_S)
        return good

    def _kill_all(self) -> None:
        for child in (*self._workers, self._gateway):
            child.kill()
        until = time.monotonic() + KILL_MARGIN_S
        while any(child.running for child in (*self._workers, self._gateway)) and time.monotonic() < until:
            for child in (*self._workers, self._gateway):
                child.reap(time.monotonic())
            time.sleep(LOOK_S)
