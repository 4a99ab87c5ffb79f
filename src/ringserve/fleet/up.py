"""`ringserve up`: a gateway and its workers on this machine, started, watched and drained together."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ringserve.errors import UsageError
from ringserve.fleet.child import Child
from ringserve.fleet.command_lines import gateway_command, worker_command
from ringserve.fleet.ports import choose_ports, reachable
from ringserve.fleet.supervisor import Supervisor
from ringserve.settings import Settings

PIPE_WIDTH = 100


def run_up(settings: Settings, model: Path) -> int:
    """Serve a model from this machine until told to stop.

    Returns:
        The exit status: 0 drained, 1 something was lost or given up.

    Raises:
        UsageError: The model is missing, a port is taken, or a child refuses its settings.
    """
    if not model.is_file():
        raise UsageError(
            f"there is no model file at {model}: name a .onnx file, or none for the digits model"
        )
    port, ports = choose_ports(settings)
    settings = replace(settings, port=port)
    now = time.monotonic()
    addresses = [reachable(settings.worker_host, own) for own in ports]
    workers = [
        Child(
            f"worker_{number}",
            "worker",
            addresses[number - 1],
            worker_command(settings, own, f"worker_{number}", model),
            now,
        )
        for number, own in enumerate(ports, start=1)
    ]
    gateway = Child(
        "gateway", "gateway", reachable(settings.host, port), gateway_command(settings, addresses), now
    )
    supervisor = Supervisor(
        workers,
        gateway,
        settings.drain_timeout_s + settings.drain_grace_s,
        _say,
        lambda: _show([gateway, *workers], model, gateway.address),
    )
    return supervisor.run()


def _say(sentence: str) -> None:
    print(f"ringserve up: {sentence}", file=sys.stderr, flush=True)  # noqa: T201 - lines that people read


def _show(children: Sequence[Child], model: Path, address: str) -> None:
    console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
    table = Table(title=f"ringserve serves {model.name}", title_justify="left")
    for heading in ("name", "role", "address", "pid", "state"):
        table.add_column(heading)
    for child in children:
        table.add_row(child.name, child.role, child.address, str(child.pid), child.policy.phase.value)
    console.print(table)
    console.print(f"Try it:    curl http://{address}/model", highlight=False)
    console.print(f"Load it:   ringserve bench --gateway http://{address}", highlight=False)
    console.print("Stop it:   Ctrl-C drains what is under way", highlight=False)
    sys.stdout.flush()
