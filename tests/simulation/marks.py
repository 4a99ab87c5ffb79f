"""Marks: proof that the seeds reach the branches for which there is a simulation.

A mark is a name that is noted when its branch was reached, seen from outside: by what the brains told, or by
what they count. `MARKS` lists all; a test demands each.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ringserve.core.batcher import Batch, CutReason
from ringserve.core.breaker import BreakerState
from ringserve.core.call import Call
from ringserve.core.node import Node
from ringserve.core.signature import Result
from ringserve.core.single_flight import Flight
from ringserve.errors import (
    DeadlinePassed,
    Draining,
    ModelGone,
    NotFound,
    PoisonSuspected,
    QueueFull,
    ServeError,
    TimeTooShort,
    WaitTooLong,
)
from tests.simulation.watch import Watcher

if TYPE_CHECKING:
    from tests.simulation.process import GatewayProcess, WorkerProcess
    from tests.simulation.workload import Caller
    from tests.simulation.world import World

MARKS = (
    "a call is held for two verdicts",
    "a held call is judged well and answered",
    "a call is condemned",
    "a call waits for a trial",
    "a call that was refused waits for a trial",
    "the place to wait for a trial is full",
    "a call is answered after it moved",
    "a call is spilled by bounded load",
    "a request is turned away without asking a worker",
    "a late answer is dropped",
    "a late refusal is dropped",
    "credit is exhausted",
    "the retry budget is exhausted",
    "a refusal is repeated elsewhere",
    "a draining worker refuses",
    "a worker is hung",
    "a hung worker recovers",
    "a silent link is given up",
    "a gateway finds that it slept",
    "a new process is half-open at once",
    "a trial fails",
    "a breaker closes again",
    "a trial is cancelled by its caller",
    "goodbye is said after a drain",
    "a worker is foreign",
    "a request finds its model gone",
    "a request finds a newer version where its own is gone",
    "what is asked for is served by nobody",
    "two models are in a gateway's hands at once",
    "most workers change to another version",
    "a drain ends well",
    "a drain runs out of time",
    "a batch is full",
    "a window falls due",
    "a batch of several is retried one by one",
    "requests of different rows share a run",
    "a request runs in slices",
    "a slice shares a run with another request",
    "a slice fails",
    "the last caller leaves a request between its slices",
    "a request that runs in slices is joined",
    "a flight has expired at the cut",
    "a caller leaves a flight that others wait for",
    "the last caller leaves a flight that runs",
    "the last caller leaves a flight in the queue",
    "a joiner is answered",
    "an answer comes from the cache",
    "the cache is full",
    "a value is too large for the cache",
    "a request is refused for a full queue",
    "a request is refused for its wait",
    "a request runs out of time at its worker",
    "a worker dies in a run",
    "a gateway is turned away while no worker is up",
)


class Marks(Watcher):
    """Notes what was reached in one run."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.seen: set[str] = set()
        self.versions: dict[GatewayProcess, str] = {}

    def note(self, mark: str, reached: object = True) -> None:
        """Note a mark if it was reached."""
        assert mark in MARKS, mark
        if reached:
            self.seen.add(mark)

    def reached(self) -> Iterable[str]:
        """All that was reached, in the order of the list."""
        outcomes = self.world.outcomes
        self.note("a drain ends well", outcomes["exit 0"])
        self.note("a drain runs out of time", outcomes["exit 1"])
        self.note("a gateway is turned away while no worker is up", outcomes["turned away: NoWorker"])
        return [mark for mark in MARKS if mark in self.seen]

    def submitted(self, gateway: GatewayProcess, caller: Caller) -> None:
        self.note("a call waits for a trial", gateway.router._parked)

    def left(self, gateway: GatewayProcess, caller: Caller) -> None:
        if caller.worker >= 0:
            breaker = gateway.router.workers[caller.worker].breaker
            half_open = breaker.state_at(gateway.now) is BreakerState.HALF_OPEN
            self.note(
                "a trial is cancelled by its caller", half_open and caller.permit == breaker._generation
            )

    def ended(self, caller: Caller, outcome: Result | ServeError, node_id: str, cached: bool) -> None:
        if isinstance(outcome, Result):
            self.note("a call is answered after it moved", caller.tried)
            self.note("a held call is judged well and answered", len(caller.suspects) > 1)
            self.note("an answer comes from the cache", cached)
        elif isinstance(outcome, QueueFull):
            self.note("credit is exhausted", outcome.message.startswith("every worker"))
            self.note("the place to wait for a trial is full", outcome.message.startswith("too many"))
        self.note("what is asked for is served by nobody", isinstance(outcome, NotFound))
        gone = any(isinstance(error, ModelGone) for _worker, _incarnation, error in caller.refusals)
        newer = gone and isinstance(outcome, Result) and not caller.tried
        self.note("a request finds a newer version where its own is gone", newer)
        unasked = isinstance(outcome, WaitTooLong) and not caller.tried
        self.note("a request is turned away without asking a worker", unasked)
        self.note("a call is condemned", isinstance(outcome, PoisonSuspected))

    def answered(self, gateway: GatewayProcess, index: int, call: Call | None) -> None:
        self.note("a late answer is dropped", call is None)

    def refused(self, gateway: GatewayProcess, index: int, call: Call | None, error: ServeError) -> None:
        self.note("a late refusal is dropped", call is None)
        self.note("a draining worker refuses", isinstance(error, Draining))
        self.note("a request finds its model gone", isinstance(error, ModelGone))
        self.note("a request is refused for a full queue", isinstance(error, QueueFull))
        self.note("a request is refused for its wait", isinstance(error, WaitTooLong | TimeTooShort))
        self.note("a request runs out of time at its worker", isinstance(error, DeadlinePassed))

    def moved(self, gateway: GatewayProcess, call: Call) -> None:
        self.note("a refusal is repeated elsewhere")
        self.note("a call that was refused waits for a trial", call in gateway.router._parked)

    def link_came(self, gateway: GatewayProcess, index: int, fresh: bool) -> None:
        state = gateway.router.workers[index].breaker.state_at(gateway.now)
        self.note("a new process is half-open at once", fresh and state is BreakerState.OPEN)

    def link_went(self, gateway: GatewayProcess, index: int, stranded: list[Call], leaving: bool) -> None:
        worker = gateway.router.workers[index]
        half_open = worker.breaker.state_at(gateway.now) is BreakerState.HALF_OPEN
        self.note("a trial fails", half_open and stranded and not leaving)

    def hung(self, gateway: GatewayProcess, index: int, hung: bool) -> None:
        self.note("a worker is hung" if hung else "a hung worker recovers")

    def ticked(self, gateway: GatewayProcess, after_s: float) -> None:
        self.note("a gateway finds that it slept", after_s > gateway.router.settings.hang_timeout_s / 2)
        router = gateway.router
        self.note("a call is held for two verdicts", router._held)
        self.note("a worker is foreign", any(worker.foreign for worker in router.workers))
        busy = [balance for balance in router.models.instances() if balance.flights()]
        self.note("two models are in a gateway's hands at once", len(busy) > 1)
        taken = router.models.taken("toy")
        version = taken.spec.version if taken is not None else ""
        self.note("most workers change to another version", self.versions.get(gateway, version) != version)
        self.versions[gateway] = version

    def gave_up(self, gateway: GatewayProcess, index: int) -> None:
        self.note("a silent link is given up")

    def goodbye(self, gateway: GatewayProcess, index: int) -> None:
        self.note("goodbye is said after a drain")

    def died(self, worker: WorkerProcess) -> None:
        self.note("a worker dies in a run", worker.running)

    def run_started(self, worker: WorkerProcess, batch: Batch) -> None:
        self.note("a batch is full", batch.reason is CutReason.FULL)
        window = worker.node_of(batch)._batcher._window
        self.note("a window falls due", window and batch.reason is CutReason.DUE)
        sliced = [flight for flight in batch.flights if flight.whole is not None]
        self.note("requests of different rows share a run", batch.signatures())
        self.note("a request runs in slices", sliced)
        self.note("a slice shares a run with another request", sliced and len(batch.flights) > 1)
        joined = any(len(flight.calls) > 1 for flight in sliced)
        self.note("a request that runs in slices is joined", joined)

    def run_ended(self, worker: WorkerProcess, node: Node, batch: Batch, failed: bool) -> None:
        self.note("a batch of several is retried one by one", failed and node._again)
        alone = len(batch.flights) == 1
        self.note("a slice fails", failed and alone and batch.flights[0].whole is not None)
        self.note("a joiner is answered", not failed and node.joins)
        self.note("the cache is full", node.cache.evictions)
        self.note("a value is too large for the cache", node.cache.oversized)

    def cancelled(self, worker: WorkerProcess, flight: Flight) -> None:
        if len(flight.calls) > 1:
            self.note("a caller leaves a flight that others wait for")
        elif flight.whole is not None and flight.running and flight.waiting():
            self.note("the last caller leaves a request between its slices")
        elif flight.running:
            self.note("the last caller leaves a flight that runs")
        else:
            self.note("the last caller leaves a flight in the queue")

    def dropped(self, worker: WorkerProcess) -> None:
        self.note("a flight has expired at the cut")

    def quiet(self) -> None:
        for gateway in self.world.gateways:
            if gateway is not None:
                router = gateway.router
                self.note("the retry budget is exhausted", router.budget.refused)
                for worker in router.workers:
                    self.note("a breaker closes again", worker.breaker.closed)
                    self.note("a call is spilled by bounded load", worker.spilled)
