"""The command lines of the children of `up`: only what differs from the defaults, so that `ps` reads well."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

from ringserve.settings import Settings, defaults_for, flag_of

_OWN_PROGRAM = (sys.executable, "-m", "ringserve")
_PREFIX = "RINGSERVE_"


def worker_command(settings: Settings, port: int, name: str, model: Path) -> list[str]:
    """Give the command line of one worker.

    `--host`, `--grpc-port`, `--max-body-mb` and `--drain-grace-s` of `up` are the gateway's: by the time the
    workers drain, the gateway has gone, and a second grace would be waited out for nobody.
    """
    usual = defaults_for("worker")
    own = replace(
        settings,
        host=settings.worker_host,
        grpc_port=usual.grpc_port,
        max_body_mb=usual.max_body_mb,
        drain_grace_s=usual.drain_grace_s,
        workers_here=settings.workers,
    )
    return [*_OWN_PROGRAM, "worker", str(port), name, str(model), *_flags("worker", own)]


def gateway_command(settings: Settings, workers: list[str], listening: socket.socket) -> list[str]:
    """Give the command line of a gateway.

    Args:
        settings: Those of `up`.
        workers: The workers' addresses, HOST:PORT.
        listening: The socket it inherits; its port is named as well, for whoever reads `ps`.
    """
    own = replace(settings, port=listening.getsockname()[1])
    inherit = ["--listen-fd", str(listening.fileno())]
    return [*_OWN_PROGRAM, "gateway", *workers, *_flags("gateway", own), *inherit]


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Take our variables out: a child gets its settings by flags alone."""
    return {name: value for name, value in environment.items() if not name.startswith(_PREFIX)}


def _flags(command: str, settings: Settings) -> list[str]:
    usual = defaults_for(command)
    words: list[str] = []
    for spec in fields(Settings):
        value = getattr(settings, spec.name)
        if command in flag_of(spec).commands and value != getattr(usual, spec.name):
            words += ["--" + spec.name.replace("_", "-"), str(value)]
    return words
