"""The command lines of the children of `up`: only what differs from the defaults, so that `ps` reads well."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

from ringserve.errors import UsageError
from ringserve.net.fleet_secret import VARIABLE
from ringserve.net.listening import is_loopback
from ringserve.settings import Settings, defaults_for, flag_of

_OWN_PROGRAM = (sys.executable, "-m", "ringserve")
_PREFIX = "RINGSERVE_"


def worker_command(settings: Settings, port: int, name: str, model: Path) -> list[str]:
    """Give the command line of one worker.

    `--host`, `--grpc-port`, `--max-body-mb` and `--drain-grace-s` of `up` are the gateway's: by the time the
    workers drain, the gateway has gone, and a second grace would be waited out for nobody.

    Certificates and keys are the gateway's too while the workers listen on loopback alone. Otherwise they get
    the same ones: a door next to the guarded one would let everybody in. A gateway that lets callers in
    without a certificate does not mean its workers.
    """
    usual = defaults_for("worker")
    alone = is_loopback(settings.worker_host)
    tls = workers_speak_tls(settings)
    own = replace(
        settings,
        tls_cert=settings.tls_cert if tls else "",
        tls_key=settings.tls_key if tls else "",
        tls_ca=settings.tls_ca if tls else "",
        tls_clients=usual.tls_clients,
        api_keys="" if alone else settings.api_keys,
        cache_scope=usual.cache_scope if alone else settings.cache_scope,
        host=settings.worker_host,
        grpc_port=usual.grpc_port,
        max_body_mb=usual.max_body_mb,
        drain_grace_s=usual.drain_grace_s,
        workers_here=settings.workers,
    )
    return [*_OWN_PROGRAM, "worker", str(port), name, str(model), *_flags("worker", own)]


def gateway_command(
    settings: Settings, workers: list[str], listening: socket.socket, *, grpc: bool
) -> list[str]:
    """Give the command line of a gateway.

    Args:
        settings: Those of `up`.
        workers: The workers' addresses, HOST:PORT.
        listening: The socket it inherits; its port is named as well, for whoever reads `ps`.
        grpc: Whether it is the one that serves gRPC.
    """
    links = "on" if workers_speak_tls(settings) else "off" if settings.tls_ca else "auto"
    grpc_port = settings.grpc_port if grpc else 0
    own = replace(settings, port=listening.getsockname()[1], grpc_port=grpc_port, link_tls=links)
    inherit = ["--listen-fd", str(listening.fileno())]
    return [*_OWN_PROGRAM, "gateway", *workers, *_flags("gateway", own), *inherit]


def workers_speak_tls(settings: Settings) -> bool:
    """Whether the workers of this `up` and the links to them are TLS.

    Raises:
        UsageError: They shall be, and there is no certificate.
    """
    if settings.link_tls == "on" and not settings.tls_cert:
        raise UsageError("--link-tls on: the workers need a certificate; give --tls-cert and --tls-key")
    wanted = settings.link_tls == "on" or not is_loopback(settings.worker_host)
    return wanted and settings.link_tls != "off" and settings.tls_cert != ""


def child_environment(environment: Mapping[str, str], secret: str = "") -> dict[str, str]:
    """Take our variables out: a child gets its settings by flags alone.

    The one exception is the fleet's secret where `up` made it, since other users could read a command line.
    """
    kept = {name: value for name, value in environment.items() if not name.startswith(_PREFIX)}
    return kept | {VARIABLE: secret} if secret else kept


def _flags(command: str, settings: Settings) -> list[str]:
    usual = defaults_for(command)
    words: list[str] = []
    for spec in fields(Settings):
        value = getattr(settings, spec.name)
        if command in flag_of(spec).commands and value != getattr(usual, spec.name):
            words += ["--" + spec.name.replace("_", "-"), str(value)]
    return words
