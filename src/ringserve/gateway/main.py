"""`ringserve gateway`: from the command line to the exit status."""

from __future__ import annotations

import asyncio
import sys
from time import monotonic
from typing import TYPE_CHECKING

from ringserve.gateway.shell import GatewayShell
from ringserve.net.grpc_door import open_grpc
from ringserve.net.guard import warn_if_open
from ringserve.net.link_keeper import keep_link
from ringserve.net.listening import bind, inherited, url_of
from ringserve.net.process import drain, keep_house, run_process, stop_event, tune_collector
from ringserve.observe.beat import Beat
from ringserve.observe.logs import set_up_logs

if TYPE_CHECKING:
    import socket

    from ringserve.settings import Settings

READY_POLL_S = 0.01
PATIENCE_S = 2.0


def run_gateway(
    settings: Settings, workers: list[str], supervisor_fd: int | None, listen_fd: int | None
) -> int:
    """Route to these workers until told to stop.

    Args:
        settings: Those of the gateway.
        workers: HOST:PORT of each.
        supervisor_fd: The channel to `up`, where that started us.
        listen_fd: A listening socket of `up`, which other gateways share; without it, one is bound.

    Returns:
        The exit status: 0 drained, 1 could not answer everything in time, 2 a usage error.
    """
    set_up_logs(settings.log_level, "gateway")
    beat = Beat(supervisor_fd, settings.drain_grace_s + settings.drain_timeout_s)
    beat.start()
    return run_process(lambda: _serve(settings, workers, beat, listen_fd), beat)


async def _serve(settings: Settings, workers: list[str], beat: Beat, listen_fd: int | None) -> int:
    listening = bind(settings.host, settings.port) if listen_fd is None else inherited(listen_fd)
    stop = stop_event()
    shell = GatewayShell(settings, workers)
    guard = shell.listener.guard
    shell.listener.grpc = open_grpc(settings, shell.listener, shared=listen_fd is not None)
    warn_if_open(guard, listening, takes_links=False)
    url = url_of(settings.host, listening, tls=guard.tls.server is not None)
    timeout_s = max(1.0, settings.hang_timeout_s)
    async with asyncio.TaskGroup() as tasks:
        running = [
            tasks.create_task(
                keep_link(shell.router, index, address, shell.links, timeout_s, guard),
                name=f"link {address}",
            )
            for index, address in enumerate(workers)
        ]
        running.append(tasks.create_task(keep_house(shell, beat), name="house"))
        opening = _open_and_announce(shell, listening, url, beat, shared=listen_fd is not None)
        running.append(tasks.create_task(opening, name="announce"))
        await stop.wait()
        status = await drain(shell, settings)
        for task in running:
            task.cancel()
    listening.close()
    return status


async def _open_and_announce(
    shell: GatewayShell, listening: socket.socket, url: str, beat: Beat, *, shared: bool
) -> None:
    if shared:
        await _wait_links_tried(shell)
    await shell.listener.start(listening)
    await _announce(shell, url, beat)


async def _wait_links_tried(shell: GatewayShell) -> None:
    """Wait until each worker is linked or was found dead, or patience ends.

    Whoever waits at a shared socket is answered by another gateway meanwhile; this one would give 503.
    """
    until = monotonic() + PATIENCE_S
    while monotonic() < until:
        if all(worker.link_up or worker.breaker.failures for worker in shell.router.workers):
            return
        await asyncio.sleep(READY_POLL_S)


async def _announce(shell: GatewayShell, url: str, beat: Beat) -> None:
    """Print the ready line once a worker is up; say once that none is."""
    began, told = monotonic(), False
    while not shell.workers_up():
        if not told and monotonic() - began > PATIENCE_S:
            told = True
            names = ", ".join(worker.address for worker in shell.router.workers)
            sentence = f"ringserve gateway: no worker answers yet at {names}; still trying"
            print(sentence, file=sys.stderr, flush=True)  # noqa: T201 - a line that people wait for
        await asyncio.sleep(READY_POLL_S)
    tune_collector()
    print(f"ringserve gateway ready on {url}", file=sys.stderr, flush=True)  # noqa: T201
    beat.beat("ready", healthy=True, incarnations=shell.incarnations())
