"""A wire between a gateway and a worker that can be cut: a relay of bytes in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType
from typing import Self


class Relay:
    """Carries bytes between whoever connects to `port` and a port of this machine.

    `cut` breaks every connection at once, with what is on its way. `silence` carries nothing any more and
    says nothing, as a wire pulled out in between does; `carry` ends either.
    """

    def __init__(self, to_port: int) -> None:
        """Carry to this port from now on."""
        self.port = 0
        self._to_port = to_port
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._pairs: set[asyncio.Transport] = set()
        self._refusing = False
        self._silent = False
        self._thread = threading.Thread(target=self._run, name="relay")

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        assert self._ready.wait(10.0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End; what is open is broken."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10.0)

    def cut(self, *, stay_cut: bool = False) -> None:
        """Break every connection; with `stay_cut` new ones are broken as well until `carry`."""
        self._loop.call_soon_threadsafe(self._cut, stay_cut)

    def silence(self) -> None:
        """Carry nothing any more; nobody is told."""
        self._loop.call_soon_threadsafe(self._be_silent)

    def carry(self) -> None:
        """Carry new connections again; what was silenced is broken, as when a machine comes back."""
        self._loop.call_soon_threadsafe(self._carry)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            self._loop.create_server(lambda: _End(self, None), "127.0.0.1", 0)
        )
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        self._cut(stay_cut=True)
        self._loop.run_until_complete(server.wait_closed())
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.05))
        self._loop.close()

    def _cut(self, stay_cut: bool) -> None:
        self._refusing = stay_cut
        for transport in list(self._pairs):
            transport.abort()

    def _be_silent(self) -> None:
        self._silent = True
        for transport in self._pairs:
            transport.pause_reading()

    def _carry(self) -> None:
        self._silent = self._refusing = False
        for transport in list(self._pairs):
            transport.abort()

    @property
    def broken(self) -> bool:
        """Whether new connections are broken at once."""
        return self._refusing

    @property
    def silent(self) -> bool:
        """Whether nothing is carried."""
        return self._silent

    async def connect(self, end: _End) -> _End:
        """Open the other half of a new connection."""
        _, other = await self._loop.create_connection(lambda: _End(self, end), "127.0.0.1", self._to_port)
        return other

    def joined(self, transport: asyncio.Transport) -> None:
        """A half is open."""
        self._pairs.add(transport)

    def left(self, transport: asyncio.Transport) -> None:
        """A half is closed."""
        self._pairs.discard(transport)


class _End(asyncio.Protocol):
    """One half of a connection; hands what it hears to the other half."""

    def __init__(self, relay: Relay, other: _End | None) -> None:
        self.relay = relay
        self.other = other
        self.transport: asyncio.Transport | None = None
        self._early: list[bytes] = []
        self._opening: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.relay.joined(transport)
        if self.relay.broken:
            transport.abort()
        elif self.relay.silent:
            transport.pause_reading()
        elif self.other is None:
            self._opening = asyncio.get_running_loop().create_task(self._open())

    async def _open(self) -> None:
        try:
            self.other = await self.relay.connect(self)
        except OSError:
            assert self.transport is not None
            self.transport.abort()
            return
        for data in self._early:
            self.other.hand_on(data)

    def data_received(self, data: bytes) -> None:
        if self.other is None:
            self._early.append(data)
        else:
            self.other.hand_on(data)

    def hand_on(self, data: bytes) -> None:
        """Send what the other half heard."""
        if self.transport is not None:
            self.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        assert self.transport is not None
        self.relay.left(self.transport)
        if self.other is not None and self.other.transport is not None:
            self.other.transport.abort()
