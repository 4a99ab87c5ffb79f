"""Simulated processes: the real shell of a worker or a gateway on a loop, which can sleep and die."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

from ringserve.core.batcher import Batch
from ringserve.core.node import Node
from ringserve.core.single_flight import Flight
from ringserve.errors import ModelFailed
from ringserve.gateway.shell import GatewayShell
from ringserve.net.link_keeper import keep_link
from ringserve.net.process import drain
from ringserve.settings import Settings
from ringserve.worker.served import Served
from ringserve.worker.shell import WorkerShell
from tests.simulation.clock import Event
from tests.simulation.loop import ProcessLoop
from tests.simulation.model import Finished, Kind, Pace, SimEngine, kinds_in, results_of

if TYPE_CHECKING:
    from tests.simulation.network import End
    from tests.simulation.world import World

DRAIN_POLL_S = 0.02
"""How often it is looked whether a model that ends has answered all."""

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


class WorkerProcess(Process):
    """A worker: the real shell, links and node, and a toy engine that may hang, fail and kill.

    Attributes:
        hung_until: Runs that begin before this end then; infinity for never.
        stuck: Whether a run of it will never end.
        dies_in_run: Whether the next run is its last.
        computed: Keys whose answers it has computed.
    """

    def __init__(self, world: World, index: int, number: int) -> None:
        super().__init__(world, f"worker_{index + 1}", number)
        self.index = index
        self.incarnation = f"{self.name}#{number}"
        self.hung_until = 0.0
        self.stuck = False
        self.dies_in_run = False
        self.leaving = False
        self.pace: Pace = world.plan.fleet.pace
        self.computed = world.computed.setdefault(self.name, set())
        self.running: dict[int, tuple[Batch, SimEngine]] = {}
        self.enter()
        self.shell = WorkerShell(world.plan.fleet.worker, self.name)
        self.shell.incarnation = self.incarnation
        self.shell.links = cast("Any", InOrder())
        self.loop.leave()

    @property
    def accepting(self) -> bool:
        """Whether its socket listens."""
        return self.alive and not cast("Any", self.shell.listener).draining

    @property
    def serves(self) -> bool:
        """Whether its models are loaded."""
        return self.shell.is_open

    @property
    def nodes(self) -> list[Node]:
        """Those of all its models, and of those that end."""
        return [served.node for served in self.shell.shelf]

    def running_on(self, node: Node) -> list[Batch]:
        """The runs of one model."""
        return [batch for batch, engine in self.running.values() if engine.node is node]

    def node_of(self, batch: Batch) -> Node:
        """Whose run this is."""
        return self.running[id(batch)][1].node

    def load(self) -> None:
        """Serve what the folder holds from now on."""
        if not self.leaving:
            self._serve_folder()
            self.shell.open()

    def follow(self) -> None:
        """Serve what the folder holds now, if anything is served."""
        if self.serves and not self.leaving:
            self._serve_folder()

    def _serve_folder(self) -> None:
        """First load what is new, then end what is gone, as a worker does."""
        shelf, folder = self.shell.shelf, self.world.folders[self.index]
        offered = {(offer.spec.name, offer.spec.version): offer.spec.digest for offer in shelf.offers()}
        for place, digest in folder.items():
            if offered.get(place) != digest:
                engine = SimEngine(self, self.world.plan.fleet.spec(place, digest), self.pace)
                former = shelf.add(cast("Any", engine), self.shell.settings)
                served = shelf.find(*place)
                engine.node = served.node
                cast("Any", served.node).process = self
                self.shell.models_changed()
                self._end_when_done(former)
        for place in [place for place in offered if place not in folder]:
            former = shelf.take_off(*place)
            self.shell.models_changed()
            self._end_when_done(former)

    def _end_when_done(self, served: Served | None) -> None:
        """End a model that is offered no more when all that was sent to it is answered."""
        if served is None:
            return
        if served.node.pending or served.node.is_running:
            self.clock.plan(Event(self.clock.now + DRAIN_POLL_S, self._end_when_done, (served,), self))
        else:
            self.shell.shelf.end(served)

    def accept(self, end: End) -> None:
        """Take a connection out of the backlog of the socket."""
        end.begin(Door(self.shell))

    def run(self, engine: SimEngine, batch: Batch, finished: Finished) -> None:
        """Begin a run."""
        now = self.clock.now
        self.running[id(batch)] = batch, engine
        self.world.watch.run_started(self, batch)
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
        digest = self.running[id(batch)][1].spec.digest
        failing = Kind.FAILING in kinds_in(batch)
        outcome = ModelFailed("it cannot compute this") if failing else results_of(digest, batch)
        if not failing:
            self.computed.update(flight.key for flight in batch.flights if is_last(flight))
        del self.running[id(batch)]
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
