"""Who asks the fleet, and who waits for an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringserve.core.signature import Result
from ringserve.errors import ServeError
from tests.simulation.clock import Event
from tests.simulation.model import Kind
from tests.simulation.watch import Watcher
from tests.simulation.workload import Caller, Request

if TYPE_CHECKING:
    from tests.simulation.process import GatewayProcess
    from tests.simulation.world import World

CALM_NUMBERS = 1 << 40
"""Inputs that were never asked while things went wrong."""


class Callers(Watcher):
    """Asks what the plan says, and keeps who waits.

    Attributes:
        pending: Who waits. It is told of everything after all checkers.
    """

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.pending: dict[Caller, None] = {}
        self.fresh = 0

    def plan_stream(self, lasts_s: float, count: int, leaves_s: float = 0.0) -> None:
        """Spread plain requests of new inputs evenly; with `leaves_s` every second caller leaves after it."""
        for at in range(count):
            when = self.world.clock.now + lasts_s * at / count
            self.fresh += 1
            request = Request(
                when,
                at % self.world.plan.fleet.gateways,
                Kind.PLAIN,
                CALM_NUMBERS + self.fresh,
                leaves_s=leaves_s if at % 2 else 0.0,
                asked=self.world.sure_to_be_served(self.fresh),
            )
            self.world.clock.at(when, self.submit, request)

    def submit(self, request: Request) -> None:
        """Let a request reach its gateway, or another one that listens."""
        first = self.world.gateways[request.gateway]
        for gateway in [first, *self.world.gateways]:
            if gateway is not None and gateway.accepting:
                gateway.soon(self._arrive, gateway, request)
                return

    def _arrive(self, gateway: GatewayProcess, request: Request) -> None:
        if not gateway.accepting:
            return
        try:
            gateway.shell.codec(*request.asked)
        except ServeError as error:
            self.world.outcomes[f"turned away: {type(error).__name__}"] += 1
            return
        caller = Caller(gateway, request, self.world.calm)
        self.pending[caller] = None
        self.world.watch.submitted(gateway, caller)
        gateway.shell.submit(caller, caller.received_at)
        if request.leaves_s:
            when = self.world.clock.now + request.leaves_s
            self.world.clock.plan(Event(when, self.leave, (caller,), gateway, io=True))

    def leave(self, caller: Caller) -> None:
        if not caller.over:
            self.world.watch.left(caller.gateway, caller)
            caller.gateway.shell.cancel(caller)

    def ended(self, caller: Caller, outcome: Result | ServeError, node_id: str, cached: bool) -> None:
        self.world.outcomes[type(outcome).__name__] += 1
        self._over(caller)

    def left(self, gateway: GatewayProcess, caller: Caller) -> None:
        self.world.outcomes["left"] += 1
        self._over(caller)

    def _over(self, caller: Caller) -> None:
        caller.over = True
        self.pending.pop(caller, None)
