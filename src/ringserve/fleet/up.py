"""`ringserve up`: workers and gateways on this machine, supervised."""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path

from ringserve.errors import UsageError
from ringserve.fleet.child import Child
from ringserve.fleet.command_lines import child_environment, gateway_command, worker_command
from ringserve.fleet.control import open_control
from ringserve.fleet.crew import Crew
from ringserve.fleet.ports import reachable, take_ports
from ringserve.fleet.report import show_fleet
from ringserve.fleet.roll import Limits
from ringserve.fleet.supervisor import Supervisor
from ringserve.settings import Settings

_MARGIN_S = 5.0
"""What a child may take beyond its own limits before it is killed: it ends itself at those."""

_DIGITS = "digits"
_SECRET_BYTES = 32


def run_up(settings: Settings, model: Path) -> int:
    """Start and supervise a fleet until it is stopped.

    Args:
        settings: Those of `up`; port 0 takes free ones.
        model: The model's file, or a folder of models.

    Returns:
        The exit status.

    Raises:
        UsageError: The model or a port cannot be used, or a child could not start.
    """
    check_model(model)
    _check_doors(settings)
    listening, worker_ports = take_ports(settings)
    workers = [_worker(settings, model, number, at) for number, at in enumerate(worker_ports, 1)]
    addresses = [worker.address for worker in workers]
    gateways = _gateways(settings, addresses, listening)
    hints = _hints(settings, gateways[0].address, model, addresses)
    print(f"starting {len(workers)} worker{'s' * (len(workers) > 1)} with {model}", flush=True)  # noqa: T201
    if settings.grpc_port and len(gateways) > 1:
        print(f"gRPC is served by {gateways[0].name} alone", flush=True)  # noqa: T201
    limits = Limits(
        gateway_s=settings.drain_grace_s + settings.drain_timeout_s + _MARGIN_S,
        worker_s=settings.drain_timeout_s + _MARGIN_S,
    )
    crew = Crew(workers, gateways, child_environment(os.environ, _own_secret(settings)), listening)
    control = open_control(listening.getsockname()[1])
    try:
        return Supervisor(crew, limits, lambda: show_fleet(crew.placed, hints), control).run()
    finally:
        if control is not None:
            control.close()


def check_model(model: Path) -> None:
    """Look whether the file or the folder is there, before anything is started.

    Raises:
        UsageError: It is not, or cannot be read.
    """
    if not model.exists():
        raise UsageError(
            f"model {model} does not exist; name a file, a folder of models, or none for the bundled digits"
        )
    if not (model.is_file() or model.is_dir()):
        raise UsageError(f"model {model} is no file; name an .onnx file or a folder of them")
    if not os.access(model, os.R_OK | os.X_OK if model.is_dir() else os.R_OK):
        raise UsageError(f"model {model} cannot be read by this user; mend its permissions")


def _check_doors(settings: Settings) -> None:
    """Look at certificates, keys and secret before anything is started: the children read them themselves."""
    if settings.tls_cert or settings.tls_key or settings.tls_ca or settings.api_keys or settings.fleet_secret:
        from ringserve.net.guard import Guard  # noqa: PLC0415 - with it comes numpy, which `up` does not need

        Guard(settings)


def _own_secret(settings: Settings) -> str:
    """Make a secret where callers are asked who they are, since a link goes around that.

    Elsewhere none is made, so that other gateways may use these workers too.
    """
    asks = bool(settings.api_keys or settings.tls_ca) and not settings.fleet_secret
    return secrets.token_hex(_SECRET_BYTES) if asks else ""


def _worker(settings: Settings, model: Path, number: int, port: int) -> Child:
    name = f"worker_{number}"
    command = worker_command(settings, port, name, model)
    return Child(name, "worker", reachable(settings.worker_host, port), command, model=_name_of(model))


def _gateways(settings: Settings, workers: list[str], listening: socket.socket) -> list[Child]:
    """Describe the gateways; a single one needs no number, and the first one serves gRPC."""
    address = reachable(settings.host, listening.getsockname()[1])
    numbers = [f"_{number}" for number in range(1, settings.gateways + 1)] if settings.gateways > 1 else [""]
    return [
        Child(
            f"gateway{number}",
            "gateway",
            address,
            gateway_command(settings, workers, listening, grpc=index == 0),
            inherits=[listening.fileno()],
        )
        for index, number in enumerate(numbers)
    ]


def _name_of(model: Path) -> str:
    return f"{model.resolve().name}/" if model.is_dir() else model.stem


def _hints(settings: Settings, gateway: str, model: Path, workers: list[str]) -> list[str]:
    """Give the two commands to type next; any 64 numbers will do for the digits model."""
    curl = f"curl {'https' if settings.tls_cert else 'http'}://{gateway}"
    if settings.api_keys:
        curl = curl.replace(" ", ' -H "Authorization: Bearer $KEY" ', 1)
    if model.is_dir():
        return [f"  {curl}/v2/models", ""]
    ask = (
        f"""{curl}/infer -d '{{"input_data": ['$(seq -s, 64)']}}'"""
        if model.stem == _DIGITS
        else f"{curl}/stats"
    )
    if settings.tls_cert or settings.api_keys:
        return [f"  {ask}", ""]
    urls = " ".join(f"http://{worker}" for worker in workers)
    return [f"  {ask}", f"  ringserve bench --gateway http://{gateway} --workers {urls}", ""]
