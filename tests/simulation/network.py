"""Simulated TCP: in order, late by chance, cut with or without word of it, for any pair of processes.

Bytes on a path that is dead are not lost: they wait, as a retransmission does, until it heals. What is lost
is what was in flight when a connection was reset. Each path has its own chance, so that what happens on one
never changes what happens on another.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, cast

from tests.simulation.clock import Clock, Event

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.process import Process, WorkerProcess

SPLITS = 0.05
"""How often what arrives is cut in two."""


class Path:
    """What lies between one gateway and one worker, whatever connection goes over it.

    Attributes:
        delay_max_s: The longest a byte takes.
        heals_at: Until when bytes toward the worker, and toward the gateway, do not arrive.
        closed_until: Until when no connection can be made.
    """

    def __init__(self, chance: random.Random, delay_max_s: float) -> None:
        self.chance = chance
        self.delay_max_s = delay_max_s
        self.heals_at = {"worker": 0.0, "gateway": 0.0}
        self.closed_until = 0.0
        self.connection: Connection | None = None

    def delay_s(self) -> float:
        """How long the next bytes take."""
        return self.chance.random() * self.delay_max_s

    def heal(self, now: float) -> None:
        """End whatever is wrong with it."""
        self.closed_until = min(self.closed_until, now)
        self.heals_at = {side: min(at, now) for side, at in self.heals_at.items()}


class End(asyncio.Transport):
    """One end of a connection: the transport its protocol sees."""

    def __init__(self, connection: Connection, side: str, owner: Process) -> None:
        super().__init__()
        self.connection = connection
        self.owner = owner
        self.peer = cast("End", None)
        self.closing = False
        self._side = side
        self._protocol: asyncio.Protocol | None = None
        self._last_arrival = 0.0

    def begin(self, protocol: asyncio.Protocol) -> None:
        """Let the protocol have this end."""
        self._protocol = protocol
        protocol.connection_made(self)
        if self.closing:
            self.owner.loop.call_soon(self._lose, ConnectionResetError("reset while it was made"))

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = cast("asyncio.Protocol", protocol)

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        if self.owner.alive and not self.closing:
            self._post(self.peer.arrive, bytes(data))

    def close(self) -> None:
        if not self.closing and self.owner.alive:
            self.closing = True
            self._post(self.peer.hear_end, None)
            self.owner.loop.call_soon(self._lose, None)

    def abort(self) -> None:
        if not self.closing:
            self.reset()
            self.owner.loop.call_soon(self._lose, None)

    def reset(self) -> None:
        """End without good-bye; what is on its way may be lost, and the other end learns of it in time."""
        self.closing = True
        if self.connection.path.chance.random() < 0.5:
            self.connection.lost_from.add(self._side)
        self._post(self.peer.hear_end, ConnectionResetError("reset by peer"))

    def is_closing(self) -> bool:
        return self.closing

    def get_extra_info(self, name: str, default: object = None) -> object:
        return default

    def arrive(self, data: bytes) -> None:
        """Take bytes off the wire."""
        if self.closing or self._protocol is None or self.peer._side in self.connection.lost_from:
            return
        chance = self.connection.path.chance
        if len(data) > 1 and chance.random() < SPLITS:
            cut = chance.randrange(1, len(data))
            self._protocol.data_received(data[:cut])
            data = data[cut:]
            if self.is_closing():
                return
        self._protocol.data_received(data)

    def hear_end(self, error: Exception | None) -> None:
        """The other end is gone."""
        if not self.closing:
            self.closing = True
            self._lose(error)

    def _lose(self, error: Exception | None) -> None:
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.connection_lost(error)

    def _post(self, what: Callable[..., None], item: object) -> None:
        """Send to the other end, behind what was sent before."""
        connection, clock = self.connection, self.owner.clock
        if connection.is_cut:
            return
        path, to = connection.path, self.peer._side
        when = max(clock.now, path.heals_at[to]) + path.delay_s()
        self._last_arrival = when = max(when, self._last_arrival)
        clock.plan(Event(when, what, (item,), self.peer.owner, io=True))


class Connection:
    """Two ends and what lies between them.

    Attributes:
        is_cut: Whether nothing gets through any more.
        lost_from: The sides whose bytes on their way will not arrive.
    """

    def __init__(self, path: Path, gateway: Process, worker: Process) -> None:
        self.path = path
        self.is_cut = False
        self.lost_from: set[str] = set()
        self.near, self.far = End(self, "gateway", gateway), End(self, "worker", worker)
        self.near.peer, self.far.peer = self.far, self.near

    def cut(self, clock: Clock) -> None:
        """Break it: each end hears of it by itself, and what was in flight is lost."""
        self.lost_from = {"gateway", "worker"}
        self.is_cut = True
        for end in (self.near, self.far):
            error = ConnectionResetError("cut")
            clock.plan(Event(clock.now + self.path.delay_s(), end.hear_end, (error,), end.owner, io=True))


class Network:
    """All paths, and who listens where."""

    def __init__(self, clock: Clock, seed: str, delay_max_s: float) -> None:
        self.clock = clock
        self.listening: dict[str, WorkerProcess] = {}
        self._seed = seed
        self._delay_max_s = delay_max_s
        self.paths: dict[tuple[str, str], Path] = {}

    def path(self, gateway: str, address: str) -> Path:
        """What lies between a gateway's place and a worker's."""
        path = self.paths.get((gateway, address))
        if path is None:
            chance = random.Random(f"{self._seed}/{gateway}/{address}")
            path = self.paths[gateway, address] = Path(chance, self._delay_max_s)
        return path

    async def connect(self, gateway: Process, address: str) -> End:
        """Connect; like the kernel's, it knows nothing of whether the worker's process is awake."""
        path, loop = self.path(gateway.name, address), gateway.loop
        made: asyncio.Future[End] = loop.create_future()

        def arrive() -> None:
            worker = self.listening.get(address)
            answer = self.clock.now + path.delay_s()
            if self.clock.now < path.closed_until:
                return
            if worker is None or not worker.accepting:
                self.clock.plan(Event(answer, refuse, (), gateway, io=True))
                return
            connection = path.connection = Connection(path, gateway, worker)
            worker.ends.append(connection.far)
            gateway.ends.append(connection.near)
            self.clock.plan(Event(self.clock.now, worker.accept, (connection.far,), worker, io=True))
            self.clock.plan(Event(answer, accepted, (connection.near,), gateway, io=True))

        def refuse() -> None:
            if not made.done():
                made.set_exception(ConnectionRefusedError("nobody listens there"))

        def accepted(end: End) -> None:
            if made.done():
                end.reset()
            else:
                made.set_result(end)

        self.clock.at(self.clock.now + path.delay_s(), arrive)
        try:
            return await made
        except asyncio.CancelledError:
            if made.done() and not made.cancelled() and made.exception() is None:
                made.result().reset()
            raise
