"""The door of a running `up`: `ringserve restart` asks here and hears how it goes.

A line of JSON from the client, `{"do": "restart"}`; lines of JSON back::

    {"of": 5, "note": "..."}                                     it has begun
    {"name": "worker_1", "stage": "draining", "done": 0}         how far it is
    {"end": ""}                                                  it is done, or the sentence why it failed

The folder's mode keeps other users out. Whoever is in has a line of bounded length and one of few places.
"""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ringserve.errors import UsageError
from ringserve.fleet import runtime_folder

_log = logging.getLogger("ringserve.fleet")
_LINE_BYTES_MAX = 1024
_CLIENTS_MAX = 8
_CONNECT_S = 1.0


class Control:
    """A listening Unix socket and the clients that wait for a restart's end."""

    def __init__(self, listening: socket.socket, path: Path) -> None:
        """Take over a socket that listens at this path."""
        self._listening = listening
        self._listening.setblocking(False)
        self._path = path
        self._clients: dict[int, tuple[socket.socket, bytearray]] = {}

    def filenos(self) -> list[int]:
        """The descriptors to wait on for reading."""
        return [self._listening.fileno(), *self._clients]

    def turn(self, ask: Callable[[], str]) -> None:
        """Accept and read what is there without waiting.

        Args:
            ask: Begins a restart; returns why it cannot, or nothing.
        """
        with suppress(BlockingIOError, ConnectionAbortedError):
            while True:
                client, _ = self._listening.accept()
                if len(self._clients) >= _CLIENTS_MAX:
                    client.close()
                    continue
                client.setblocking(False)
                self._clients[client.fileno()] = (client, bytearray())
        for number in list(self._clients):
            self._read(number, ask)

    def tell(self, **message: object) -> None:
        """Send a line to all who wait; one who does not read is let go."""
        for number in list(self._clients):
            self._send(number, message)

    def end(self, sentence: str) -> None:
        """Tell all that it is over, and let them go."""
        self.tell(end=sentence)
        for number in list(self._clients):
            self._drop(number)

    def close(self) -> None:
        """Let all go and take the socket away."""
        for number in list(self._clients):
            self._drop(number)
        self._listening.close()
        self._path.unlink(missing_ok=True)

    def _read(self, number: int, ask: Callable[[], str]) -> None:
        client, data = self._clients[number]
        try:
            part = client.recv(_LINE_BYTES_MAX)
        except BlockingIOError:
            return
        except OSError:
            part = b""
        data += part
        if not part or len(data) > _LINE_BYTES_MAX:
            self._drop(number)
        elif b"\n" in part:
            refusal = ask() if _is_restart(bytes(data)) else "it only knows how to restart"
            if refusal:
                self._send(number, {"end": refusal})
                self._drop(number)

    def _send(self, number: int, message: dict[str, object]) -> None:
        try:
            self._clients[number][0].sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            self._drop(number)

    def _drop(self, number: int) -> None:
        found = self._clients.pop(number, None)
        if found is not None:
            found[0].close()


def open_control(port: int) -> Control | None:
    """Listen for `ringserve restart --port PORT`; None, with a line that says why, where that cannot be."""
    path = runtime_folder.socket_path(port)
    try:
        runtime_folder.make_folder()
        listening = _listen(path)
    except (OSError, UsageError) as error:
        _log.warning("`ringserve restart` will not find this one, SIGHUP may do: %s", error)
        return None
    return Control(listening, path)


def connect(port: int) -> socket.socket:
    """Reach the `up` of a port.

    Raises:
        UsageError: There is none of this user, or its folder is not to be trusted.
    """
    path = runtime_folder.socket_path(port)
    try:
        runtime_folder.check_folder()
        return _connect(path)
    except OSError as error:
        raise UsageError(
            f"no `ringserve up` of this user serves port {port}; name the port of its gateway with --port"
        ) from error


def _listen(path: Path) -> socket.socket:
    if path.exists():
        try:
            _connect(path).close()
        except OSError:
            path.unlink(missing_ok=True)  # of an `up` that was killed
        else:
            raise UsageError(f"another `ringserve up` on this port has {path}")
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(str(path))
        listening.listen(_CLIENTS_MAX)
    except OSError:
        listening.close()
        raise
    return listening


def _connect(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(_CONNECT_S)
        connection.connect(str(path))
    except OSError:
        connection.close()
        raise
    return connection


def _is_restart(line: bytes) -> bool:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(message, dict) and message.get("do") == "restart"
