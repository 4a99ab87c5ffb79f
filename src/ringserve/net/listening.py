"""Sockets that listen."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket

from ringserve.errors import UsageError

BACKLOG = 2048


def bind(host: str, port: int) -> socket.socket:
    """Listen on an address; port 0 takes a free one.

    Raises:
        UsageError: The port is taken, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError as cause:
        listening.close()
        if cause.errno == errno.EADDRINUSE:
            raise UsageError(
                f"port {port} on {host} is taken: stop what listens there, or choose another"
            ) from None
        raise UsageError(f"cannot listen on {host} port {port}: {cause.strerror or cause}") from None
    listening.setblocking(False)
    return listening


def inherited(descriptor: int) -> socket.socket:
    """Take over a listening socket that the parent process handed down.

    Raises:
        UsageError: The descriptor is none, or does not listen.
    """
    try:
        os.set_inheritable(descriptor, False)
        listening = socket.socket(fileno=descriptor)
        listens = listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as cause:
        raise UsageError(f"--listen-fd {descriptor}: no socket was handed down ({cause.strerror})") from None
    if not listens:
        raise UsageError(f"--listen-fd {descriptor}: the socket that was handed down does not listen")
    listening.setblocking(False)
    return listening


def accept_waiting(listening: socket.socket) -> list[socket.socket]:
    """Accept every connection that waits in the kernel's queue, without waiting for more."""
    waiting: list[socket.socket] = []
    try:
        while True:
            connection, _ = listening.accept()
            connection.setblocking(False)
            waiting.append(connection)
    except OSError:  # the queue is empty, or there is no room for another descriptor
        return waiting


def url_of(host: str, listening: socket.socket, *, tls: bool) -> str:
    """The URL people reach the socket by."""
    port = listening.getsockname()[1]
    scheme = "https" if tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on this address."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    inner = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (inner or address).is_loopback
