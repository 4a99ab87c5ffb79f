"""What a caller may count on: one answer, in time, the right one; and well-founded failures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringserve.core.breaker import BreakerState
from ringserve.core.call import Call
from ringserve.core.router.failover import HOLD_MAX_S
from ringserve.core.signature import Result
from ringserve.errors import (
    DeadlinePassed,
    Draining,
    ModelFailed,
    ModelGone,
    NotFound,
    NoWorker,
    PoisonSuspected,
    QueueFull,
    ServeError,
    TimeTooShort,
    WaitTooLong,
)
from tests.simulation.full_workers import FullWorkers
from tests.simulation.meant import Instance, best, has, means
from tests.simulation.model import Kind, right_answer
from tests.simulation.watch import Watcher, demand

if TYPE_CHECKING:
    from tests.simulation.models import Place
    from tests.simulation.process import GatewayProcess
    from tests.simulation.workload import Caller
    from tests.simulation.world import World

LATE_MAX_S = 0.05
"""How long after its deadline a request may get its 504: the granularity of the sweep, twice."""

EARLY_MAX_S = 0.002
"""How much too early a worker may find a request too late: its time left travels in whole milliseconds."""

CALM_MAX_S = 1.0
"""How long an answer may take when nothing is wrong, its journeys and runs aside."""

REFUSALS = (QueueFull, WaitTooLong, TimeTooShort, Draining)
DEATHS = 2

MOVES_MAX = 8
"""After so many workers a request is given up."""


class OneAnswer(Watcher):
    """Each accepted request ends exactly once, and never after its caller has left."""

    def ended(self, caller: Caller, outcome: Result | ServeError, node_id: str, cached: bool) -> None:
        demand(not caller.over, f"a request ended twice, or after its caller left: {outcome!r}")

    def quiet(self) -> None:
        demand(not self.world.callers.pending, f"{len(self.world.callers.pending)} requests never ended")


class InTime(Watcher):
    """Nobody waits longer than the deadline, unless the gateway's process slept."""

    def ended(self, caller: Caller, outcome: Result | ServeError, node_id: str, cached: bool) -> None:
        gateway = caller.gateway
        late_s = gateway.now - caller.deadline
        awake_s = self.world.clock.now - gateway.slept_until
        demand(min(late_s, awake_s) <= LATE_MAX_S, f"a request ended {late_s:.3f} s after its deadline")
        if isinstance(outcome, DeadlinePassed):
            demand(late_s >= -EARLY_MAX_S, f"504 {-late_s:.3f} s before the deadline")


class RightAnswer(Watcher):
    """An answer is that of the request's own input, by a file that its gateway took it to mean meanwhile.

    That is the file which most connected workers mean by the name and version; in a draw it does not change.
    """

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.taken: dict[tuple[GatewayProcess, Place], Instance] = {}

    def submitted(self, gateway: GatewayProcess, caller: Caller) -> None:
        self._note(caller, self._look(gateway, caller.request.asked))

    def fleet_changed(self, gateway: GatewayProcess) -> None:
        for asked in [asked for one, asked in self.taken if one is gateway]:
            before = self.taken[gateway, asked]
            if self._look(gateway, asked) != before:
                for caller in self.world.callers.pending:
                    if caller.gateway is gateway and caller.request.asked == asked:
                        self._note(caller, self.taken[gateway, asked])

    def _look(self, gateway: GatewayProcess, asked: Place) -> Instance | None:
        """What is meant now, told from what the workers offer."""
        most = best(gateway.router.workers, *asked)
        before = self.taken.get((gateway, asked))
        if before not in most:
            balance = gateway.router.models.taken(*asked)
            spec = None if balance is None else balance.spec
            chosen = None if spec is None else (spec.name, spec.version, spec.digest)
            demand(chosen in most or not most, "a gateway takes another file than most workers have")
            if chosen is not None:
                self.taken[gateway, asked] = chosen
        return self.taken.get((gateway, asked))

    def _note(self, caller: Caller, instance: Instance | None) -> None:
        if instance is not None:
            caller.models.add(instance[2])

    def ended(self, caller: Caller, outcome: Result | ServeError, node_id: str, cached: bool) -> None:
        if isinstance(outcome, Result):
            right = {right_answer(digest, caller.payload) for digest in caller.models}
            demand(outcome.payload in right, "a wrong answer")
            demand(caller.request.kind is Kind.PLAIN, "an answer to what cannot be computed")


class FailureHasReason(Watcher):
    """A request fails only for the reason that its error tells, and only when no worker could answer."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.refusals: dict[Call, list[ServeError]] = {}
        self.refusers: dict[Call, list[tuple[int, str]]] = {}
        self.stranded: dict[Call, list[tuple[float, int, str]]] = {}
        self.full = FullWorkers()

    def refused(self, gateway: GatewayProcess, index: int, call: Call | None, error: ServeError) -> None:
        self.full.refused(gateway, index, call, error)
        if call is not None and not isinstance(error, ModelGone):
            self.refusals.setdefault(call, []).append(error)
            self.refusers.setdefault(call, []).append((index, gateway.router.workers[index].incarnation))

    def sent(self, gateway: GatewayProcess, index: int, call: Call) -> None:
        self.full.sent(gateway, index)
        if call in self.refusers:
            again = (index, gateway.router.workers[index].incarnation) in self.refusers[call]
            demand(not again, "sent again to a worker that had refused it")

    def link_went(self, gateway: GatewayProcess, index: int, stranded: list[Call], leaving: bool) -> None:
        lost = (gateway.now, index, gateway.router.workers[index].incarnation)
        for call in stranded:
            self.stranded.setdefault(call, []).append(lost)

    def ended(self, caller: Caller, outcome: Result | ServeError, node_id: str, cached: bool) -> None:
        if isinstance(outcome, ModelFailed):
            demand(caller.request.kind is Kind.FAILING, "500 for an input that the model can compute")
        elif isinstance(outcome, PoisonSuspected):
            self._two_died(caller)
        elif isinstance(outcome, NotFound):
            workers = caller.gateway.router.workers
            offers = [offer for worker in workers for offer in worker.offers]
            demand(not any(means(caller.request.asked, one) for one in offers), "404 for what a worker has")
        elif isinstance(outcome, NoWorker):
            self._nobody_could(caller)
        elif isinstance(outcome, REFUSALS):
            refusals = self.refusals.get(caller, [])
            own = outcome not in refusals
            if caller.gateway.leaving and isinstance(outcome, Draining):
                return
            if caller.gateway.router.budget.available(caller.gateway.now) >= 1 or own:
                self._nobody_could(caller)
        else:
            known = isinstance(outcome, Result | DeadlinePassed)
            demand(known, f"an error that nothing here can cause: {outcome!r}")

    def _two_died(self, caller: Caller) -> None:
        """See that two workers died with it, or that nobody could tell for as long as one may wait."""
        lost = self.stranded.get(caller, [])
        demand(len(lost) >= DEATHS, f"called poison after {len(lost)} lost links")
        # One that drains listens no more: whoever lost its link cannot tell it from one that died.
        lives = [worker and not worker.leaving and worker.incarnation for worker in self.world.workers]
        dead = sum(lives[at] != incarnation for at, incarnation in {life[1:] for life in lost})
        waited_s = caller.gateway.now - lost[-1][0]
        demand(
            dead >= DEATHS or waited_s > HOLD_MAX_S - EARLY_MAX_S,
            f"called poison though {len(lost) - dead} live",
        )

    def _nobody_could(self, caller: Caller) -> None:
        """See that no worker could have taken it."""
        gateway, refusers = caller.gateway, self.refusers.get(caller, [])
        if len(caller.tried) >= MOVES_MAX:
            return
        meant = best(gateway.router.workers, caller.signature.model, caller.signature.version)
        for worker in gateway.router.workers:
            could = (
                worker.able
                and len(meant) == 1
                and has(worker, *meant)
                and worker.breaker.state_at(gateway.now) is BreakerState.CLOSED
                and worker.has_credit_for(caller)
                and (worker.index, worker.incarnation) not in refusers
                and not self.full.may_be_full(gateway, worker.index)
            )
            demand(not could, f"refused with a 429 or 503 though worker {worker.index + 1} could take it")


class WellAfterFaults(Watcher):
    """Once the faults are over and breakers had their time, all is answered, and soon."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        fleet = world.plan.fleet
        slow_s = fleet.pace.seconds(fleet.worker.max_batch)
        self.bound_s = CALM_MAX_S + 8 * fleet.delay_max_s + 4 * slow_s + fleet.worker.batch_timeout_ms / 1000

    def ended(self, caller: Caller, outcome: Result | ServeError, node_id: str, cached: bool) -> None:
        if caller.calm:
            demand(isinstance(outcome, Result), f"failed though nothing was wrong any more: {outcome!r}")
            took_s = caller.gateway.now - caller.received_at
            demand(took_s <= self.bound_s, f"answered after {took_s:.2f} s though nothing was wrong any more")

    def quiet(self) -> None:
        for gateway in self.world.gateways:
            demand(gateway is not None, "a gateway is missing at the end")
            assert gateway is not None
            for worker in gateway.router.workers:
                if self.world.workers[worker.index] is not None:
                    demand(worker.link_up, f"{gateway.name} has no link to worker {worker.index + 1}")
                    demand(not (worker.hung or worker.going_away), f"worker {worker.index + 1} is left out")
