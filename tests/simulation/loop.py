"""The event loop of a simulated process: enough of asyncio for the real shells to run on it unchanged."""

from __future__ import annotations

import asyncio
from asyncio import events
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import TYPE_CHECKING, Any, cast

from tests.simulation.clock import Event

if TYPE_CHECKING:
    from tests.simulation.process import Process


class Failure(Exception):
    """A task of a simulated process ended with an exception."""


class ProcessLoop:
    """Plans everything on the world's clock, in the name of one process."""

    running: ProcessLoop | None = None

    def __init__(self, process: Process) -> None:
        self._process = process
        self._clock = process.clock
        self._tasks: list[asyncio.Task[Any]] = []

    def enter(self) -> None:
        """Become the loop that runs."""
        if ProcessLoop.running is not self:
            ProcessLoop.running = self
            events._set_running_loop(cast("asyncio.AbstractEventLoop", self))

    @classmethod
    def leave(cls) -> None:
        """Let no loop run: the world itself acts."""
        cls.running = None
        events._set_running_loop(None)

    def time(self) -> float:
        return self._clock.now + self._process.offset_s

    def call_soon(
        self, callback: Callable[..., object], *args: object, context: Context | None = None
    ) -> Event:
        return self._clock.plan(Event(self._clock.now, callback, args, self._process, context))

    call_soon_threadsafe = call_soon

    def call_at(
        self, when: float, callback: Callable[..., object], *args: object, context: Context | None = None
    ) -> Event:
        return self._clock.plan(Event(when - self._process.offset_s, callback, args, self._process, context))

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: object, context: Context | None = None
    ) -> Event:
        return self._clock.plan(Event(self._clock.now + delay, callback, args, self._process, context))

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=cast("asyncio.AbstractEventLoop", self))

    def create_task(
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[Any]:
        self.enter()
        task = asyncio.Task(coro, loop=cast("asyncio.AbstractEventLoop", self), name=name, context=context)
        task.add_done_callback(_raise)
        self._tasks.append(task)
        return task

    async def create_connection(
        self, protocol_factory: Callable[[], asyncio.Protocol], host: str, port: int
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        end = await self._process.network.connect(self._process, f"{host}:{port}")
        protocol = protocol_factory()
        end.begin(protocol)
        return end, protocol

    def close(self) -> None:
        """End every task that still waits for something, as the end of its process does."""
        before = ProcessLoop.running
        self.enter()
        for task in self._tasks:
            task.remove_done_callback(_raise)
            if not task.done():
                ended = cast("Any", task)
                ended.get_coro().close()
                ended._log_destroy_pending = False
        self._tasks.clear()
        self.leave()
        if before is not None:
            before.enter()

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        raise Failure(str(context))


def _raise(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error
