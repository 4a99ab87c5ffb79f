"""How a run is watched: what happens to the brains is told to every checker that asked for it.

`WatchedRouter` and `WatchedNode` change nothing of what they extend; they only tell, and before what follows
from it, since a lost link sends its calls elsewhere at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from ringserve.core.batcher import Batch
from ringserve.core.call import Call
from ringserve.core.node import Node
from ringserve.core.router.brain import Router
from ringserve.core.router.ports import Ports
from ringserve.core.router.settings import RouterSettings
from ringserve.core.router.worker_state import Hello, WorkerState
from ringserve.core.signature import Result
from ringserve.core.single_flight import Flight
from ringserve.errors import ServeError

if TYPE_CHECKING:
    from tests.simulation.process import GatewayProcess, WorkerProcess
    from tests.simulation.workload import Caller
    from tests.simulation.world import World


class Violation(AssertionError):
    """Something that must hold did not."""


def demand(holds: bool, sentence: str) -> None:
    """Raise a violation unless it holds."""
    if not holds:
        raise Violation(sentence)


class Watcher:
    """Watches a run; sees everything, changes nothing. Each watcher overrides what it needs."""

    def __init__(self, world: World) -> None:
        self.world = world

    def submitted(self, gateway: GatewayProcess, caller: Caller) -> None:
        """A request was accepted."""

    def left(self, gateway: GatewayProcess, caller: Caller) -> None:
        """A caller does not wait any more."""

    def ended(self, caller: Caller, outcome: Result | ServeError, node_id: str, cached: bool) -> None:
        """A caller has its outcome."""

    def sent(self, gateway: GatewayProcess, index: int, call: Call) -> None:
        """The router has just sent a call."""

    def answered(self, gateway: GatewayProcess, index: int, call: Call | None) -> None:
        """A worker answered; None for an answer that nobody waits for."""

    def refused(self, gateway: GatewayProcess, index: int, call: Call | None, error: ServeError) -> None:
        """A worker refused; None for a call that nobody waits for."""

    def moved(self, gateway: GatewayProcess, call: Call) -> None:
        """What a live worker refused was sent to another, or waits to be."""

    def link_came(self, gateway: GatewayProcess, index: int, fresh: bool) -> None:
        """A worker greets; `fresh` if its process was not known."""

    def link_went(self, gateway: GatewayProcess, index: int, stranded: list[Call], leaving: bool) -> None:
        """A link was lost or given up; `leaving` if the worker had said that it goes away."""

    def connect_failed(self, gateway: GatewayProcess, index: int) -> None:
        """A connection could not be made."""

    def died(self, worker: WorkerProcess) -> None:
        """A worker is about to die."""

    def hung(self, gateway: GatewayProcess, index: int, hung: bool) -> None:
        """A worker is hung now, or no more."""

    def ticked(self, gateway: GatewayProcess, after_s: float) -> None:
        """The router's timer, so long after the last time."""

    def run_started(self, worker: WorkerProcess, batch: Batch) -> None:
        """The engine has a batch."""

    def run_ended(self, worker: WorkerProcess, node: Node, batch: Batch, failed: bool) -> None:
        """The node has a run's outcome."""

    def fleet_changed(self, gateway: GatewayProcess) -> None:
        """The router has looked again at who has which model."""

    def gave_up(self, gateway: GatewayProcess, index: int) -> None:
        """The router gave up a link that was silent."""

    def goodbye(self, gateway: GatewayProcess, index: int) -> None:
        """The router has nothing left at a worker that goes away."""

    def cancelled(self, worker: WorkerProcess, flight: Flight) -> None:
        """A node hears that a caller has left this flight."""

    def dropped(self, worker: WorkerProcess) -> None:
        """A node found at the cut that nobody waits any more."""

    def after_gateway(self, gateway: GatewayProcess) -> None:
        """Something happened in a gateway."""

    def after_worker(self, worker: WorkerProcess) -> None:
        """Something happened in a worker that serves."""

    def quiet(self) -> None:
        """All is over."""


class Watch:
    """Tells the watchers; who does not override something is never called for it."""

    def __init__(self, watchers: Iterable[Watcher]) -> None:
        everyone = list(watchers)

        def tell(method: Callable[..., None]) -> Callable[..., None]:
            name = method.__name__
            asked = [getattr(one, name) for one in everyone if getattr(type(one), name) is not method]

            def tell_all(*args: object) -> None:
                for one in asked:
                    one(*args)

            return tell_all

        self.submitted = tell(Watcher.submitted)
        self.left = tell(Watcher.left)
        self.ended = tell(Watcher.ended)
        self.sent = tell(Watcher.sent)
        self.answered = tell(Watcher.answered)
        self.refused = tell(Watcher.refused)
        self.moved = tell(Watcher.moved)
        self.link_came = tell(Watcher.link_came)
        self.link_went = tell(Watcher.link_went)
        self.connect_failed = tell(Watcher.connect_failed)
        self.hung = tell(Watcher.hung)
        self.ticked = tell(Watcher.ticked)
        self.run_started = tell(Watcher.run_started)
        self.run_ended = tell(Watcher.run_ended)
        self.died = tell(Watcher.died)
        self.after_gateway = tell(Watcher.after_gateway)
        self.after_worker = tell(Watcher.after_worker)
        self.gave_up = tell(Watcher.gave_up)
        self.fleet_changed = tell(Watcher.fleet_changed)
        self.goodbye = tell(Watcher.goodbye)
        self.cancelled = tell(Watcher.cancelled)
        self.dropped = tell(Watcher.dropped)
        self.quiet = tell(Watcher.quiet)


class WatchedRouter(Router):
    """The router, which tells what happens to it."""

    process: GatewayProcess

    def __init__(self, addresses: Sequence[str], settings: RouterSettings, ports: Ports) -> None:
        super().__init__(addresses, settings, WatchedPorts(self, ports))

    @property
    def watch(self) -> Watch:
        """Who is to be told."""
        return self.process.world.watch

    def answered(
        self, index: int, call_id: int, result: Result, cached: bool, time_us: int, now: float
    ) -> None:
        call = self.workers[index].in_flight.get(call_id)
        self.watch.answered(self.process, index, call)
        super().answered(index, call_id, result, cached, time_us, now)

    def refused(self, index: int, call_id: int, error: ServeError, now: float) -> None:
        call = self.workers[index].in_flight.get(call_id)
        moved = self.moved
        self.watch.refused(self.process, index, call, error)
        super().refused(index, call_id, error, now)
        if call is not None and self.moved > moved:
            self.watch.moved(self.process, call)

    def link_up(self, index: int, hello: Hello, now: float) -> None:
        self.watch.link_came(self.process, index, self.workers[index].incarnation != hello.incarnation)
        super().link_up(index, hello, now)

    def _lost(self, worker: WorkerState, now: float, *, maybe_died: bool) -> None:
        stranded, leaving = list(worker.in_flight.values()), worker.going_away
        self.watch.link_went(self.process, worker.index, stranded, leaving)
        super()._lost(worker, now, maybe_died=maybe_died)

    def _fleet_changed(self) -> None:
        super()._fleet_changed()
        self.watch.fleet_changed(self.process)

    def connect_failed(self, index: int, now: float, *, refused: bool) -> None:
        self.watch.connect_failed(self.process, index)
        super().connect_failed(index, now, refused=refused)

    def pong(
        self, index: int, run_age_s: float, slowest_run_s: float, runs_finished: int, now: float
    ) -> None:
        before = self.workers[index].hung
        super().pong(index, run_age_s, slowest_run_s, runs_finished, now)
        if self.workers[index].hung is not before:
            self.watch.hung(self.process, index, not before)

    def tick(self, now: float) -> None:
        before = self._ticked_at
        super().tick(now)
        self.watch.ticked(self.process, 0.0 if before is None else now - before)


class WatchedPorts:
    """The gateway's ports, which tell what is sent."""

    def __init__(self, router: WatchedRouter, ports: Ports) -> None:
        self._router = router
        self._send = ports.send
        self.cancel_on = ports.cancel_on
        self.ping = ports.ping
        self._disconnect = ports.disconnect
        self._goodbye = ports.goodbye

    def send(self, worker: int, call: Call) -> None:
        self._send(worker, call)
        process = self._router.process
        process.world.watch.sent(process, worker, call)

    def disconnect(self, worker: int) -> None:
        self._disconnect(worker)
        process = self._router.process
        process.world.watch.gave_up(process, worker)

    def goodbye(self, worker: int) -> None:
        self._goodbye(worker)
        process = self._router.process
        process.world.watch.goodbye(process, worker)

    def say(self, sentence: str) -> None:
        process = self._router.process
        process.world.tell(f"{process.name}: {sentence}")


class WatchedNode(Node):
    """The node, which tells what its engine did."""

    process: WorkerProcess

    def finished(self, batch: Batch, outcome: Sequence[Result] | ServeError, now: float) -> None:
        super().finished(batch, outcome, now)
        self.process.world.watch.run_ended(self.process, self, batch, isinstance(outcome, ServeError))

    def cancel(self, call: Call) -> None:
        if call.flight is not None:
            self.process.world.watch.cancelled(self.process, call.flight)
        super().cancel(call)

    def _drop_expired(self, flight: Flight, now: float) -> bool:
        wanted = super()._drop_expired(flight, now)
        if not wanted:
            self.process.world.watch.dropped(self.process)
        return wanted
