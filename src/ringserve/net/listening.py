"""Sockets that listen."""

from __future__ import annotations

import errno
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


def url_of(host: str, listening: socket.socket) -> str:
    """The URL people reach the socket by."""
    port = listening.getsockname()[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
