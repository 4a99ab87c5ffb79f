"""A run from its first event to the last: start, break things, stop breaking them, see that all is well."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ringserve.core.breaker import BreakerState
from tests.simulation.callers import Callers
from tests.simulation.checkers import all_checkers
from tests.simulation.clock import Clock, Event, Owner
from tests.simulation.edges import simulated_edges
from tests.simulation.faults import FAULTS, Fault
from tests.simulation.loop import ProcessLoop
from tests.simulation.model import Kind
from tests.simulation.models import OTHER, SECOND, SIDE, TOY, TOY_2, Change, Place, folder_of
from tests.simulation.network import Network, Path
from tests.simulation.plan import Plan
from tests.simulation.process import GatewayProcess, WorkerProcess
from tests.simulation.watch import Watch, Watcher

if TYPE_CHECKING:
    from collections.abc import Callable

CALM_CALLS = 12
LONGEST_S = 11.0
"""When the last caller must have an outcome: a little more than the longest time-out."""

STEP_S = 0.25
"""How often it is asked whether all is well again."""

QUIET_S = 1.0
"""How long what is left in the tables may take to go when nobody waits any more."""

BACK_S = (0.05, 0.6)
"""How long a worker that died takes to be back."""


class World:
    """One run of a plan.

    Attributes:
        workers: The process at each worker's address; None while there is none.
        gateways: The same for the gateways.
        gone: Addresses whose worker left for good.
        folders: What the process at each address loads.
        callers: Who asks, and who waits.
        story: What went wrong on purpose, and what was said about it.
        outcomes: How often each kind of outcome came.
        calm: Whether the faults are over.
    """

    def __init__(self, plan: Plan, extra: Callable[[World], list[Watcher]] | None = None) -> None:
        self.plan = plan
        self.clock = Clock()
        fleet = plan.fleet
        self.network = Network(self.clock, f"{plan.seed}/network", fleet.delay_max_s)
        self.workers: list[WorkerProcess | None] = [None] * fleet.workers
        self.gateways: list[GatewayProcess | None] = [None] * fleet.gateways
        self.gone: set[int] = set()
        self.folders = [folder_of(places) for places in plan.models.carried]
        self.story: list[str] = []
        self.outcomes: Counter[str] = Counter()
        self.calm = False
        self.lives = 0
        self.computed: dict[str, set[bytes]] = {}
        self.callers = Callers(self)
        self.watch = Watch([*all_checkers(self), *(extra(self) if extra else []), self.callers])
        self._returns: dict[str, Event] = {}

    def run(self) -> None:
        """Live through the plan.

        Raises:
            Violation: Something that must hold did not.
        """
        with simulated_edges():
            try:
                self._run()
            finally:
                for process in [*self.workers, *self.gateways]:
                    if process is not None:
                        process.die()

    def _run(self) -> None:
        fleet, at = self.plan.fleet, self.clock.at
        self.tell(fleet.describe())
        for index, start_at in enumerate(self.plan.starts):
            self._returns[f"worker {index}"] = at(start_at, self.start_worker, index)
        for index in range(fleet.gateways):
            self.start_gateway(index)
        for request in self.plan.requests:
            at(request.at, self.callers.submit, request)
        for fault in self.plan.faults:
            at(fault.at, self.strike, fault)
        for change in self.plan.models.changes:
            at(change.at, self.change, change)
        self.run_until(max([self.plan.span_s, *(fault.at + fault.lasts_s for fault in self.plan.faults)]))
        for worker in range(fleet.workers):
            self._bring_back(worker)
        self.end_faults()
        slow_s = fleet.pace.seconds(fleet.worker.max_batch)
        self._recover(fleet.gateway.circuit_timeout_s + 1.5 * fleet.gateway.hang_timeout_s + 3.0 + 4 * slow_s)
        self.calm = True
        self.tell("the faults are over, and so is the time to recover")
        window_s = fleet.worker.batch_timeout_ms / 1000
        calm_s = CALM_CALLS * (0.05 + window_s + 2 * slow_s + 4 * fleet.delay_max_s)
        self.callers.plan_stream(calm_s, CALM_CALLS)
        self.run_until(self.clock.now + calm_s)
        latest = self.clock.now + LONGEST_S
        while self.callers.pending and self.clock.now < latest:
            self.run_until(self.clock.now + 0.5)
        self.run_until(self.clock.now + QUIET_S + slow_s)
        self.watch.quiet()

    def _recover(self, bound_s: float) -> None:
        """Let a few requests prove the workers until all is well again, or the time for it is over.

        Some of their callers leave: a trial that ends so must not be the last one.
        """
        leaves_s = self.plan.fleet.delay_max_s + self.plan.fleet.pace.seconds(1) / 2
        until = self.clock.now + bound_s
        self.run_until(self.clock.now + STEP_S)
        while self.clock.now < until and not (self._is_well() and not self.callers.pending):
            self.callers.plan_stream(STEP_S, CALM_CALLS // 3, leaves_s)
            self.run_until(self.clock.now + 2 * STEP_S)

    def _is_well(self) -> bool:
        """Whether all gateways have and trust links to all workers; none stops or runs what began slowly."""
        if any(worker is not None and (worker.running or worker.leaving) for worker in self.workers):
            return False
        return not self._returns and all(
            gateway is not None
            and all(
                worker.able and worker.breaker.state_at(gateway.now) is BreakerState.CLOSED
                for worker in gateway.router.workers
                if self.workers[worker.index] is not None and not worker.foreign
            )
            for gateway in self.gateways
        )

    def run_until(self, end: float) -> None:
        """Let time pass."""
        self.clock.run_until(end, self.after_event)
        ProcessLoop.leave()

    def after_event(self, owner: Owner) -> None:
        """Let the checkers look at the process to which something happened."""
        if isinstance(owner, GatewayProcess):
            if owner.alive:
                self.watch.after_gateway(owner)
        elif isinstance(owner, WorkerProcess) and owner.alive and owner.serves:
            self.watch.after_worker(owner)

    def tell(self, sentence: str) -> None:
        """Add to the story."""
        self.story.append(f"{self.clock.now:8.3f} {sentence}")

    def path(self, gateway: int, worker: int) -> Path:
        """What lies between a gateway and a worker."""
        return self.network.path(f"gateway_{gateway + 1}", self.plan.fleet.addresses[worker])

    # Faults

    def strike(self, fault: Fault) -> None:
        """Let a fault begin."""
        self.tell(str(fault))
        FAULTS[fault.kind](self, fault)

    def change(self, change: Change) -> None:
        """Let a worker's folder change, and its process follow."""
        folder = self.folders[change.worker]
        if change.kind == "swap" and TOY in folder:
            del folder[TOY]
            folder[TOY_2] = SECOND
        elif change.kind == "unload" and OTHER in folder and len(folder) > 1:
            del folder[OTHER]
            self.clock.at(self.clock.now + change.lasts_s, self._bring_back, change.worker)
        else:
            return
        self.tell(str(change))
        self._follow(change.worker)

    def _bring_back(self, worker: int) -> None:
        """End the time without the other model."""
        if OTHER in self.plan.models.carried[worker] and OTHER not in self.folders[worker]:
            self.folders[worker][OTHER] = SIDE
            self._follow(worker)

    def _follow(self, worker: int) -> None:
        process = self.workers[worker]
        if process is not None:
            process.soon(process.follow)

    def sure_to_be_served(self, number: int) -> Place:
        """What a request of this number may ask for that must be answered when all is well."""
        if not self.plan.models.many:
            return TOY
        here = [folder for index, folder in enumerate(self.folders) if index not in self.gone]
        names = [name for name in ("toy", "side") if any(name == place[0] for one in here for place in one)]
        return names[number % len(names)], ""

    def end_faults(self) -> None:
        """Stop breaking things: heal, wake and start what is not well."""
        self.tell("the faults end")
        for path in self.network.paths.values():
            path.heal(self.clock.now)
            path.delay_max_s = self.plan.fleet.delay_max_s
        for process in [*self.workers, *self.gateways]:
            if process is not None:
                process.thaw()
        for caller in list(self.callers.pending):
            if caller.request.kind is Kind.POISON:
                caller.gateway.soon(self.callers.leave, caller)
        for worker in self.workers:
            if worker is not None:
                self._cure(worker)
        for name, event in list(self._returns.items()):
            if not event.cancelled():
                event.cancel()
                kind, _, index = name.partition(" ")
                (self.start_worker if kind == "worker" else self.start_gateway)(int(index))

    def _cure(self, worker: WorkerProcess) -> None:
        worker.dies_in_run = False
        worker.pace = self.plan.fleet.pace
        worker.hung_until = 0.0
        if worker.stuck:
            self.crash(worker)

    def start_worker(self, index: int) -> None:
        """Begin a new process at a worker's address; its model takes a while to load."""
        self._returns.pop(f"worker {index}", None)
        self.lives += 1
        process = WorkerProcess(self, index, self.lives)
        self.workers[index] = process
        self.network.listening[self.plan.fleet.addresses[index]] = process
        when = self.clock.now + process.chance.choice([0.0, 0.2])
        self.clock.plan(Event(when, process.load, (), process))

    def start_gateway(self, index: int) -> None:
        """Begin a new process in a gateway's place."""
        self._returns.pop(f"gateway {index}", None)
        self.lives += 1
        self.gateways[index] = GatewayProcess(self, index, self.lives)

    def crash(self, worker: WorkerProcess, back_after_s: float | None = -1.0) -> None:
        """End a worker's process; None: for good."""
        if self.workers[worker.index] is not worker:
            return
        self.watch.died(worker)
        worker.die()
        self._vacate(worker, worker.chance.uniform(*BACK_S) if back_after_s == -1.0 else back_after_s)

    def drain_worker(self, worker: WorkerProcess, back_after_s: float | None) -> None:
        """Tell a worker to stop."""
        if not worker.leaving:
            worker.leaving = True
            worker.drain_and_exit(
                self.plan.fleet.worker,
                worker.shell,
                lambda status: self._exited(worker, status, back_after_s),
            )

    def crash_gateway(self, gateway: GatewayProcess, back_after_s: float) -> None:
        """End a gateway's process; its callers are lost with it."""
        for caller in list(self.callers.pending):
            if caller.gateway is gateway:
                self.watch.left(gateway, caller)
        gateway.die()
        self._vacate(gateway, back_after_s)

    def drain_gateway(self, gateway: GatewayProcess, back_after_s: float) -> None:
        """Tell a gateway to stop."""
        if not gateway.leaving:
            gateway.leaving = True
            gateway.drain_and_exit(
                self.plan.fleet.gateway,
                gateway.shell,
                lambda status: self._exited(gateway, status, back_after_s),
            )

    def _exited(
        self, process: WorkerProcess | GatewayProcess, status: int, back_after_s: float | None
    ) -> None:
        if process.alive:
            self.tell(f"{process.name} exits with {status}")
            self.outcomes[f"exit {status}"] += 1
            process.die()
            self._vacate(process, back_after_s)

    def _vacate(self, process: WorkerProcess | GatewayProcess, back_after_s: float | None) -> None:
        """Leave a place empty, for a while or for good."""
        index = process.index
        if isinstance(process, WorkerProcess):
            self.workers[index] = None
            del self.network.listening[self.plan.fleet.addresses[index]]
            name, start = f"worker {index}", self.start_worker
        else:
            self.gateways[index] = None
            name, start = f"gateway {index}", self.start_gateway
        if back_after_s is not None and not (name.startswith("worker") and index in self.gone):
            self._returns[name] = self.clock.at(self.clock.now + back_after_s, start, index)
