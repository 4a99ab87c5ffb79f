"""The life of a serving process: bind, serve, drain in three steps, exit status."""

from __future__ import annotations

import asyncio
import gc
import resource
import signal
import sys
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

import uvloop

from ringserve.errors import UsageError
from ringserve.limits import BEAT_INTERVAL_S
from ringserve.net.listener import SWEEP_S

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Protocol

    from ringserve.net.listener import Listener
    from ringserve.observe.beat import Beat
    from ringserve.settings import Settings

    class Part(Protocol):
        """The shell that a process runs."""

        listener: Listener

        def state(self) -> str:
            """`starting`, `ready` or `draining`."""

        def healthy(self) -> bool:
            """Whether nothing hangs."""

        def incarnations(self) -> tuple[str, ...]:
            """A worker's own incarnation; for a gateway, those of the workers it has links to."""

        def pending(self) -> int:
            """Calls without an answer."""

        def stop_being_ready(self) -> None:
            """Step 1 of a drain."""

        def go_away(self) -> None:
            """Step 2 of a drain, for the links."""

        def gone(self) -> bool:
            """Whether every link has been let go."""

        def give_up(self) -> None:
            """Fail what is left."""


DRAIN_POLL_S = 0.02


def run_process(main: Callable[[], Awaitable[int]], beat: Beat) -> int:
    """Run the process's coroutine on uvloop; returns the exit status."""
    _allow_descriptors()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_coroutine(main))
    except UsageError as error:
        if not beat.fatal(str(error)):
            print(f"ringserve: {error}", file=sys.stderr)  # noqa: T201 - the one line the person reads
        return 2


def _allow_descriptors() -> None:
    """Take as many descriptors as we may: 1,024 are usual at first, fewer than `--max-connections`."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with suppress(OSError, ValueError):  # macOS names a maximum that it does not grant
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def _coroutine(main: Callable[[], Awaitable[int]]) -> int:
    return await main()


def tune_collector() -> None:
    """Freeze what start-up made, so that no collection walks it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def stop_event() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def keep_house(part: Part, beat: Beat) -> None:
    """Beat and sweep until cancelled."""
    swept_at = 0.0
    while True:
        now = monotonic()
        beat.beat(part.state(), part.healthy(), part.incarnations())
        if now - swept_at >= SWEEP_S:
            swept_at = now
            part.listener.sweep(now)
        slept_at = monotonic()
        await asyncio.sleep(BEAT_INTERVAL_S)
        part.listener.loop_lag.observe(max(0.0, monotonic() - slept_at - BEAT_INTERVAL_S))


async def drain(part: Part, settings: Settings) -> int:
    """The three steps of a drain; returns the exit status."""
    part.stop_being_ready()
    await asyncio.sleep(settings.drain_grace_s)
    await part.listener.close(monotonic())
    part.go_away()
    try:
        return await _finish(part, monotonic() + settings.drain_timeout_s)
    finally:
        part.listener.large_bodies.close()
        if part.listener.grpc is not None:
            await part.listener.grpc.stop()


async def _finish(part: Part, until: float) -> int:
    while monotonic() < until:
        if part.pending() == 0 and part.gone() and part.listener.is_empty(monotonic()):
            return 0
        await asyncio.sleep(DRAIN_POLL_S)
    if part.pending() == 0:
        return 0
    part.give_up()
    await asyncio.sleep(DRAIN_POLL_S)
    return 1
