"""Two hosts on one machine: network namespaces joined by a cable that can be cut (Linux, as root)."""

from __future__ import annotations

import ctypes
import itertools
import os
import socket
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

from tests.integration.servers import ANSWER_LIMIT_S, Connection, Server

_CLONE_NEWNET = 0x40000000
_numbers = itertools.count()


class NoNamespacesError(Exception):
    """This machine does not let us make network namespaces; says why."""


class Host:
    """One end: a namespace with an address that the other end reaches."""

    def __init__(self, name: str, address: str) -> None:
        """Name it; `Cable` makes it."""
        self.name = name
        self.address = address
        self.prefix: Sequence[str] = ("ip", "netns", "exec", name)

    def connect(self, server: Server) -> Connection:
        """Connect to a server as a client on this host does.

        A thread of its own enters the namespace: a socket stays in the one that it was made in.
        """
        with ThreadPoolExecutor(1) as inside:
            return Connection(inside.submit(self._connect, server.host, server.port).result())

    def _connect(self, host: str, port: int) -> socket.socket:
        libc = ctypes.CDLL(None, use_errno=True)
        with Path("/run/netns", self.name).open() as namespace:
            if libc.setns(namespace.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"cannot enter {self.name}")
        return socket.create_connection((host, port), ANSWER_LIMIT_S)


class Cable:
    """Makes two hosts and joins them; removes both at the end."""

    def __init__(self) -> None:
        """Choose names that no other run has."""
        mark = f"rs{os.getpid()}x{next(_numbers)}"
        self.near = Host(f"{mark}n", "10.213.7.1")
        self.far = Host(f"{mark}f", "10.213.7.2")

    def __enter__(self) -> Self:
        """Make and join them.

        Raises:
            NoNamespacesError: It is not permitted, or `ip` is missing.
        """
        try:
            _ip("netns", "add", self.near.name)
        except (OSError, subprocess.CalledProcessError) as error:
            reason = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else str(error)
            raise NoNamespacesError(f"`ip netns add` does not work here: {reason}") from None
        try:
            _ip("netns", "add", self.far.name)
            near, far = self.near.name, self.far.name
            _ip("link", "add", near, "netns", near, "type", "veth", "peer", "name", far, "netns", far)
            for host in (self.near, self.far):
                _ip("-n", host.name, "address", "add", f"{host.address}/24", "dev", host.name)
                _ip("-n", host.name, "link", "set", "lo", "up")
            self.join()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Remove both; the cable goes with them."""
        for host in (self.near, self.far):
            if Path("/run/netns", host.name).exists():
                _ip("netns", "delete", host.name)

    def cut(self, host: Host) -> None:
        """Take one end's interface down: what is on its way is lost, and nobody is told."""
        _ip("-n", host.name, "link", "set", host.name, "down")

    def join(self) -> None:
        """Take both interfaces up."""
        for host in (self.near, self.far):
            _ip("-n", host.name, "link", "set", host.name, "up")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, timeout=10)
