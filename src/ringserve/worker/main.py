"""`ringserve worker`: from the command line to the exit status."""

from __future__ import annotations

import asyncio
import os
import sys
from functools import partial
from typing import TYPE_CHECKING

from ringserve.errors import UsageError
from ringserve.net.grpc_door import open_grpc
from ringserve.net.guard import warn_if_open
from ringserve.net.listening import bind, url_of
from ringserve.net.process import drain, keep_house, run_process, stop_event, tune_collector
from ringserve.observe.beat import Beat
from ringserve.observe.logs import set_up_logs
from ringserve.worker.exchange import Exchange
from ringserve.worker.folder import Folder
from ringserve.worker.keeper import Keeper
from ringserve.worker.loading import open_model
from ringserve.worker.shell import WorkerShell

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from ringserve.settings import Settings


def run_worker(settings: Settings, port: int, name: str, model: Path, supervisor_fd: int | None) -> int:
    """Serve a model, or a folder of models, until told to stop.

    Returns:
        The exit status: 0 drained, 1 could not answer everything in time, 2 a usage error.
    """
    set_up_logs(settings.log_level, name)
    beat = Beat(supervisor_fd, settings.drain_grace_s + settings.drain_timeout_s)
    beat.start()

    async def main() -> int:
        listening = bind(settings.host, port)
        return await _serve(settings, listening, name, model, beat)

    return run_process(main, beat)


async def _serve(settings: Settings, listening: socket.socket, name: str, model: Path, beat: Beat) -> int:
    stop = stop_event()
    if settings.tls_ca and not settings.tls_cert:
        raise UsageError(
            "--tls-ca: give a worker --tls-cert and --tls-key too; nobody can show a certificate else"
        )
    shell = WorkerShell(settings, name)
    folder = Folder(model)
    open_one = partial(open_model, settings, folder, _say)
    exchange = Exchange(settings, folder, shell.shelf, open_one, _say, shell.models_changed)
    keeper = shell.keeper = Keeper(settings, folder, shell.shelf, exchange, _say)
    guard = shell.listener.guard
    shell.listener.grpc = open_grpc(settings, shell.listener)
    warn_if_open(guard, listening, takes_links=True)
    url = url_of(settings.host, listening, tls=guard.tls.server is not None)
    await shell.listener.start(listening)
    status = 0
    async with asyncio.TaskGroup() as tasks:
        house = tasks.create_task(keep_house(shell, beat), name="house")
        loading = tasks.create_task(_begin(keeper), name="loading")
        stopping = tasks.create_task(stop.wait(), name="stop")
        await asyncio.wait([loading, stopping], return_when=asyncio.FIRST_COMPLETED)
        failure = loading.result() if loading.done() else None
        keeping = None
        if failure is None:
            if loading.done():
                shell.open()
                tune_collector()
                keeping = tasks.create_task(keeper.keep(), name="keeper")
                print(f"ringserve worker {name} ready on {url}", file=sys.stderr, flush=True)  # noqa: T201
                beat.beat("ready", healthy=True, incarnations=shell.incarnations())
                await stopping
            status = await drain(shell, settings)
        for task in (house, stopping, loading, keeping):
            if task is not None:
                task.cancel()
    if failure is not None:
        raise failure
    if shell.is_running() or exchange.is_loading:
        # onnxruntime aborts the process when the interpreter is taken down under a run, and a load is not
        # worth waiting for.
        sys.stderr.flush()
        os._exit(status)
    return status


async def _begin(keeper: Keeper) -> UsageError | None:
    try:
        await keeper.begin()
    except UsageError as error:
        return error
    return None


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)  # noqa: T201 - lines that people and scripts wait for
