"""The breaker's rules, told again in the plainest way and compared with what the router's breakers do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringserve.core.breaker import BreakerState
from ringserve.core.call import Call
from ringserve.errors import DeadlinePassed, Draining, ServeError
from tests.simulation.watch import Watcher, demand

if TYPE_CHECKING:
    from tests.simulation.process import GatewayProcess
    from tests.simulation.world import World

EVERY = 16
"""Breakers to which nothing happened are compared after each so many events."""

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


class Model:
    """One breaker as the contract tells it.

    Attributes:
        period: How often it has changed its state: what was sent in another period counts no more.
    """

    def __init__(self, threshold: int, successes: int, timeout_s: float) -> None:
        self.threshold = threshold
        self.needed = successes
        self.timeout_s = timeout_s
        self.state = CLOSED
        self.failures = 0
        self.successes = 0
        self.opened_at = 0.0
        self.period = 0
        self.trial: Call | None = None
        self.trial_id = 0
        self.sent: dict[int, int] = {}

    def state_at(self, now: float) -> BreakerState:
        """What it is, time taken into account."""
        if self.state is OPEN and now >= self.opened_at + self.timeout_s:
            self._become(HALF_OPEN, now)
        return self.state

    def fail(self, now: float) -> None:
        """One failure of the worker."""
        state = self.state_at(now)
        self.failures += 1
        if state is HALF_OPEN or (state is CLOSED and self.failures >= self.threshold):
            self._become(OPEN, now)

    def succeed(self, call_id: int, now: float) -> None:
        """An answer to what was sent under this number."""
        if self.sent.pop(call_id, None) != self.period:
            return
        self.failures = 0
        if self.state is HALF_OPEN:
            self.successes += 1
            if self.successes >= self.needed:
                self._become(CLOSED, now)

    def restart(self, now: float) -> None:
        """A new process greets."""
        if self.state_at(now) is not CLOSED:
            self._become(HALF_OPEN, now)

    def _become(self, state: BreakerState, now: float) -> None:
        self.state = state
        self.opened_at = now
        self.period += 1
        self.successes = 0
        self.trial = None


class BreakerRules(Watcher):
    """Every breaker is in the state that the rules demand, and half-open lets one trial at a time."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.models: dict[GatewayProcess, list[Model]] = {}
        self.touched: set[int] = set()

    def touch(self, gateway: GatewayProcess, index: int) -> Model:
        """What a breaker should be; it is compared when the event is over."""
        self.touched.add(index)
        return self.of(gateway)[index]

    def of(self, gateway: GatewayProcess) -> list[Model]:
        """What all breakers of a gateway should be."""
        models = self.models.get(gateway)
        if models is None:
            own = self.world.plan.fleet.gateway
            models = self.models[gateway] = [
                Model(own.failure_threshold, own.success_threshold, own.circuit_timeout_s)
                for _ in gateway.router.workers
            ]
        return models

    def sent(self, gateway: GatewayProcess, index: int, call: Call) -> None:
        model, worker = self.touch(gateway, index), gateway.router.workers[index]
        if model.state_at(gateway.now) is HALF_OPEN:
            trial_out = model.trial is not None and worker.in_flight.get(model.trial_id) is model.trial
            demand(not trial_out, "a second trial while the first is out")
            model.trial, model.trial_id = call, call.id
        model.sent[call.id] = model.period

    def answered(self, gateway: GatewayProcess, index: int, call: Call | None) -> None:
        if call is not None:
            self.touch(gateway, index).succeed(call.id, gateway.now)

    def refused(self, gateway: GatewayProcess, index: int, call: Call | None, error: ServeError) -> None:
        if call is not None and not isinstance(error, Draining | DeadlinePassed):
            self.touch(gateway, index).succeed(call.id, gateway.now)

    def link_came(self, gateway: GatewayProcess, index: int, fresh: bool) -> None:
        if fresh:
            self.touch(gateway, index).restart(gateway.now)

    def link_went(self, gateway: GatewayProcess, index: int, stranded: list[Call], leaving: bool) -> None:
        if not leaving:
            self.touch(gateway, index).fail(gateway.now)

    def connect_failed(self, gateway: GatewayProcess, index: int) -> None:
        if not gateway.router.workers[index].going_away:
            self.touch(gateway, index).fail(gateway.now)

    def hung(self, gateway: GatewayProcess, index: int, hung: bool) -> None:
        if hung:
            self.touch(gateway, index).fail(gateway.now)

    def after_gateway(self, gateway: GatewayProcess) -> None:
        everyone = range(len(gateway.router.workers))
        for index in everyone if self.world.clock.events % EVERY == 0 else sorted(self.touched):
            self._compare(gateway, index)
        self.touched.clear()

    def _compare(self, gateway: GatewayProcess, index: int) -> None:
        worker, model, now = gateway.router.workers[index], self.of(gateway)[index], gateway.now
        breaker = worker.breaker
        got, due = breaker.state_at(now), model.state_at(now)
        if got is not due:
            demand(False, f"the breaker of worker {index + 1} is {got.name}, not {due.name}")
        demand(breaker.failures == model.failures, "failures are miscounted")
        demand(breaker.permits == len(worker.in_flight), "permits are miscounted")
