"""`ringserve up`: workers and a gateway on this machine, supervised."""

from __future__ import annotations

import os
from pathlib import Path

from ringserve.errors import UsageError
from ringserve.fleet.child import Child
from ringserve.fleet.command_lines import child_environment, gateway_command, worker_command
from ringserve.fleet.ports import choose_ports, reachable
from ringserve.fleet.report import show_fleet
from ringserve.fleet.stop_order import StopOrder
from ringserve.fleet.supervisor import Supervisor
from ringserve.settings import Settings

_MARGIN_S = 5.0
"""What a child may take beyond its own limits before it is killed: it ends itself at those."""

_DIGITS = "digits"


def run_up(settings: Settings, model: Path) -> int:
    """Start and supervise a fleet until it is stopped.

    Args:
        settings: Those of `up`; port 0 takes free ones.
        model: The .onnx file to serve.

    Returns:
        The exit status.

    Raises:
        UsageError: The model or a port cannot be used, or a child could not start.
    """
    check_model(model)
    port, worker_ports = choose_ports(settings)
    workers = [_worker(settings, model, number, at) for number, at in enumerate(worker_ports, 1)]
    addresses = [worker.address for worker in workers]
    # The gateway is told the chosen port, so that it comes back on the same one.
    command = gateway_command(settings, addresses, port)
    gateway = Child("gateway", "gateway", reachable(settings.host, port), command)
    hints = _hints(gateway.address, model, addresses)
    print(f"starting {len(workers)} worker{'s' * (len(workers) > 1)} with {model}", flush=True)  # noqa: T201
    supervisor = Supervisor(
        workers,
        gateway,
        child_environment(os.environ),
        StopOrder(
            settings.drain_grace_s + settings.drain_timeout_s + _MARGIN_S,
            settings.drain_timeout_s + _MARGIN_S,
        ),
        lambda: show_fleet([*workers, gateway], hints),
    )
    return supervisor.run()


def check_model(model: Path) -> None:
    """Look whether the file is there, before anything is started.

    Raises:
        UsageError: It is not, or cannot be read.
    """
    if not model.exists():
        raise UsageError(f"model {model} does not exist; name an .onnx file, or none for the bundled digits")
    if not model.is_file():
        raise UsageError(f"model {model} is no file; name the .onnx file itself")
    if not os.access(model, os.R_OK):
        raise UsageError(f"model {model} cannot be read by this user; mend its permissions")


def _worker(settings: Settings, model: Path, number: int, port: int) -> Child:
    name = f"worker_{number}"
    command = worker_command(settings, port, name, model)
    return Child(name, "worker", reachable(settings.worker_host, port), command, model=model.stem)


def _hints(gateway: str, model: Path, workers: list[str]) -> list[str]:
    """Give the two commands to type next; any 64 numbers will do for the digits model."""
    if model.stem == _DIGITS:
        ask = f"""curl http://{gateway}/infer -d '{{"input_data": ['$(seq -s, 64)']}}'"""
    else:
        ask = f"curl http://{gateway}/stats"
    urls = " ".join(f"http://{worker}" for worker in workers)
    return [f"  {ask}", f"  ringserve bench --gateway http://{gateway} --workers {urls}", ""]
