"""Taking the gateways' port, and checking, before anything is started, that the workers will get theirs."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable

from ringserve.errors import UsageError
from ringserve.net.listening import BACKLOG
from ringserve.settings import Settings

_PORT_MAX = 65535
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 (compared with, not bound)


def take_ports(settings: Settings) -> tuple[socket.socket, list[int]]:
    """Listen on the gateways' port and find the workers'; free ones where 0 is asked for.

    The workers and gRPC's server bind theirs themselves; who finds it taken by then says so.

    Returns:
        The socket that all gateways share, which the caller closes, and the workers' ports.

    Raises:
        UsageError: A port is taken, not allowed, out of range or used twice, or a host is unknown.
    """
    last = settings.base_port + settings.workers - 1
    if settings.base_port and last > _PORT_MAX:
        raise UsageError(
            f"--base-port {settings.base_port}: {settings.workers} workers need ports up to {last}"
        )
    wanted = [settings.base_port + index if settings.base_port else 0 for index in range(settings.workers)]
    if settings.port and settings.port in wanted:
        raise UsageError(
            f"port {settings.port} is wanted by the gateway and a worker; set --port or --base-port"
        )
    if settings.grpc_port and settings.grpc_port in (settings.port, *wanted):
        raise UsageError(
            f"port {settings.grpc_port} is wanted for gRPC and for HTTP; set --grpc-port to another, or to 0"
        )
    gateway = (settings.host, settings.port, "--port")
    rest = [(settings.worker_host, port, "--base-port") for port in wanted]
    if settings.grpc_port:
        rest.append((settings.host, settings.grpc_port, "--grpc-port"))
    listening, *bound = _bind_all([gateway, *rest])
    ports = [one.getsockname()[1] for one in bound[: len(wanted)]]
    for one in bound:
        one.close()
    try:
        listening.listen(BACKLOG)  # only now does another socket that is merely bound show as a conflict
    except OSError as error:
        listening.close()
        raise UsageError(_refusal(error, *gateway)) from error
    return listening, ports


def reachable(host: str, port: int) -> str:
    """Give HOST:PORT as somebody on this machine reaches it."""
    host = _ANY.get(host, host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _bind_all(wanted: Iterable[tuple[str, int, str]]) -> list[socket.socket]:
    """Bind all at the same time, so that no free port is chosen twice."""
    sockets: list[socket.socket] = []
    try:
        for host, port, flag in wanted:
            sockets.append(_bind(host, port, flag))
    except UsageError:
        for bound in sockets:
            bound.close()
        raise
    return sockets


def _bind(host: str, port: int, flag: str) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError) as error:
        host_flag = "--worker-host" if flag == "--base-port" else "--host"
        raise UsageError(f"{host_flag} {host}: no such address on this machine ({error})") from error
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise UsageError(_refusal(error, host, port, flag)) from error
    return bound


def _refusal(error: OSError, host: str, port: int, flag: str) -> str:
    where = f"port {port} on {host}"
    if error.errno == errno.EADDRINUSE:
        return f"{where} is already taken; stop what listens there or choose another with {flag}"
    if error.errno == errno.EACCES:
        return f"{where} is not allowed for this user; choose one above 1023 with {flag}"
    return f"{where} cannot be used: {error.strerror}"
