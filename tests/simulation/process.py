"""Simulated processes: the real shell of a worker or a gateway on a loop, which can sleep and die."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

from ringserve.core.batcher import Batch
from ringserve.core.node import Node
from ringserve.core.single_flight import Flight
from ringserve.core.tensor import ModelSpec
from ringserve.errors import ModelFailed
from ringserve.gateway.shell import GatewayShell
from ringserve.net.link_keeper import keep_link
from ringserve.net.process import drain
from ringserve.settings import Settings
from ringserve.worker.shell import WorkerShell
from tests.simulation.clock import Event
from tests.simulation.loop import ProcessLoop
from tests.simulation.model import Finished, Kind, Pace, SimEngine, kinds_in, results_of

if TYPE_CHECKING:
    from tests.simulation.network import End
    from tests.simulation.world import World

HEAD_END = b"\r\n\r\n"


def is_last(flight: Flight) -> bool:
    """Whether its result completes an answer."""
    return flight.whole is None or flight.whole.missing == flight.rows


class Process:
    """One life of a process.

    Attributes:
        offset_s: How far its clock is from the world's: no time of one process means anything in another.
        slept_until: When it last woke, in the world's time.
    """

    def __init__(self, world: World, name: str, number: int) -> None:
        self.world = world
        self.clock = world.clock
        self.network = world.network
        self.name = name
        self.number = number
        self.chance = random.Random(f"{world.plan.seed}/{name}/{number}")
        self.offset_s = self.chance.choice([1.0, 1000.0, 1e6])
        self.alive = True
        self.frozen = False
        self.slept_until = 0.0
        self.ends: list[End] = []
        self.loop = ProcessLoop(self)
        self._backlog: list[Event] = []

    @property
    def now(self) -> float:
        """The time as this process tells it."""
        return self.clock.now + self.offset_s

    def admits(self, event: Event) -> bool:
        """Let an event happen, unless the process is dead, or asleep: then keep it."""
        if self.frozen and self.alive:
            self._backlog.append(event)
        return self.alive and not self.frozen

    def enter(self) -> None:
        """Become the process that runs."""
        self.loop.enter()

    def soon(self, callback: Callable[..., object], *args: object) -> None:
        """Let something happen to the process from outside."""
        self.clock.plan(Event(self.clock.now, callback, args, self, io=True))

    def freeze(self) -> None:
        """Stop it, as SIGSTOP does."""
        self.frozen = True

    def thaw(self) -> None:
        """Let it go on: all that fell due happens now, in one of the orders a real loop may choose."""
        if not (self.frozen and self.alive):
            return
        self.frozen = False
        self.slept_until = self.clock.now
        backlog, self._backlog = self._backlog, []
        order = self.chance.choice(["as they came", "timers first", "network first"])
        if order != "as they came":
            backlog.sort(key=lambda event: event.io is (order == "timers first"))
        for event in backlog:
            event.when = self.clock.now
            self.clock.plan(event)

    def die(self) -> None:
        """End at once, in the middle of whatever it does."""
        if self.alive:
            self.alive = False
            for end in self.ends:
                if not end.closing:
                    end.reset()
            self.loop.close()

    def drain_and_exit(
        self, settings: Settings, part: WorkerShell | GatewayShell, exited: Callable[[int], object]
    ) -> None:
        """Stop as SIGTERM does; `exited` gets the exit status."""

        async def run() -> None:
            status = await drain(part, settings)
            self.clock.at(self.clock.now, exited, status)

        self.soon(lambda: self._start(run))

    def _start(self, run: Callable[[], Awaitable[None]]) -> None:
        self.loop.create_task(cast("Any", run()), name="drain")


class InOrder(dict[Any, None]):
    """A set that is walked in the order of arrival, so that one seed gives one run."""

    def add(self, item: object) -> None:
        """Put it last."""
        self[item] = None

    def discard(self, item: object) -> None:
        """Take it out if it is there."""
        self.pop(item, None)


class Door(asyncio.Protocol):
    """Answers the HTTP Upgrade that opens a link."""

    def __init__(self, shell: WorkerShell) -> None:
        self._shell = shell
        self._head = b""
        self._transport = cast("End", None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("End", transport)

    def data_received(self, data: bytes) -> None:
        self._head += data
        head, found, rest = self._head.partition(HEAD_END)
        if not found:
            return
        assert head.startswith(b"GET ")
        link = self._shell.link_protocol()
        if link is None:
            self._transport.write(b"HTTP/1.1 503 Service Unavailable" + HEAD_END)
            self._transport.close()
            return
        self._transport.write(b"HTTP/1.1 101 Switching Protocols" + HEAD_END)
        self._transport.set_protocol(link)
        link.connection_made(self._transport)
        if rest:
            link.data_received(rest)


class OneModelShell(WorkerShell):
    """A worker's shell with one model."""

    node: Node = cast("Node", None)

    def serve(self, engine: SimEngine) -> None:
        """Serve it from now on."""
        self.shelf.add(cast("Any", engine), self.settings)
        (served,) = self.shelf
        self.node = served.node
        self.open()


class WorkerProcess(Process):
    """A worker: the real shell, links and node, and a toy engine that may hang, fail and kill.

    Attributes:
        hung_until: Runs that begin before this end then; infinity for never.
        stuck: Whether a run of it will never end.
        dies_in_run: Whether the next run is its last.
        computed: Keys whose answers it has computed.
    """

    def __init__(self, world: World, index: int, number: int, model: str) -> None:
        super().__init__(world, f"worker_{index + 1}", number)
        self.index = index
        self.model = model
        self.incarnation = f"{self.name}#{number}"
        self.hung_until = 0.0
        self.stuck = False
        self.dies_in_run = False
        self.leaving = False
        self.pace: Pace = world.plan.fleet.pace
        self.computed = world.computed.setdefault(self.name, set())
        self.running: dict[int, Batch] = {}
        self.enter()
        self.shell = OneModelShell(world.plan.fleet.worker, self.name)
        self.shell.incarnation = self.incarnation
        self.shell.links = cast("Any", InOrder())
        self.loop.leave()

    @property
    def accepting(self) -> bool:
        """Whether its socket listens."""
        return self.alive and not cast("Any", self.shell.listener).draining

    def load(self, spec: ModelSpec) -> None:
        """Serve from now on."""
        if not self.leaving:
            self.shell.serve(SimEngine(self, spec, self.pace))
            cast("Any", self.shell.node).process = self

    def accept(self, end: End) -> None:
        """Take a connection out of the backlog of the socket."""
        end.begin(Door(self.shell))

    def run(self, batch: Batch, finished: Finished) -> None:
        """Begin a run."""
        now = self.clock.now
        self.world.watch.run_started(self, batch)
        self.running[id(batch)] = batch
        seconds = self.pace.seconds(batch.rows) * self.chance.uniform(0.5, 1.5)
        if self.dies_in_run or Kind.POISON in kinds_in(batch):
            if self.pace.inline:
                self._die_of(batch)
            else:
                self.clock.plan(Event(now + seconds / 2, self._die_of, (batch,), self))
            return
        if now < self.hung_until:
            self.world.tell(f"a run of {self.name} hangs")
            seconds = self.hung_until - now
        if self.pace.inline and not seconds:
            self._ran(batch, finished)
        elif seconds == float("inf"):
            self.stuck = True
        else:
            self.clock.plan(Event(now + seconds, self._ran, (batch, finished), self))

    def _ran(self, batch: Batch, finished: Finished) -> None:
        del self.running[id(batch)]
        failing = Kind.FAILING in kinds_in(batch)
        outcome = ModelFailed("it cannot compute this") if failing else results_of(self.model, batch)
        if not failing:
            self.computed.update(flight.key for flight in batch.flights if is_last(flight))
        finished(batch, outcome, self.now)

    def _die_of(self, batch: Batch) -> None:
        poison = Kind.POISON in kinds_in(batch)
        self.world.tell(f"{self.incarnation} dies in a run" + (" of poison" if poison else ""))
        self.world.crash(self)


class GatewayProcess(Process):
    """A gateway: the real shell with its router and links."""

    def __init__(self, world: World, index: int, number: int) -> None:
        super().__init__(world, f"gateway_{index + 1}", number)
        self.index = index
        self.leaving = False
        fleet = world.plan.fleet
        self.enter()
        self.shell = GatewayShell(fleet.gateway, fleet.addresses)
        self.router = self.shell.router
        cast("Any", self.router).process = self
        fleet.tune(self.router)
        timeout_s = max(1.0, fleet.gateway.hang_timeout_s)
        for at, address in enumerate(fleet.addresses):
            link = keep_link(self.router, at, address, self.shell.links, timeout_s)
            self.loop.create_task(link, name=f"link {address}")
        self.loop.leave()

    @property
    def accepting(self) -> bool:
        """Whether its socket listens."""
        return self.alive and not cast("Any", self.shell.listener).draining
