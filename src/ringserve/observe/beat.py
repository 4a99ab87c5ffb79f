"""The child's half of the channel to `ringserve up`: how I am, why I end, and whether `up` still lives.

Over one socket that `up` hands down, the child writes lines of JSON: `{"state": "ready", "healthy": true}`
a few times a second from its event loop, so that a loop that hangs is seen, and `{"fatal": "sentence"}` where
it ends by a usage error, so that three workers with the same wrong model make one line and not three. `up`
writes nothing: the child reads only to see the end of file, which the kernel sends even where `up` was killed
with SIGKILL. Then nobody watches this process any more and it must not stay: it drains, and is ended where
that takes too long.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from contextlib import suppress

from ringserve.limits import ORPHAN_GRACE_S

_FATAL_TIMEOUT_S = 1.0


class Beat:
    """Tells the supervisor how this process is; without a supervisor every method does nothing."""

    def __init__(self, fd: int | None, drain_timeout_s: float) -> None:
        """Take over the descriptor.

        Args:
            fd: The inherited end of the channel, or None where nobody supervises.
            drain_timeout_s: How long a drain may take in all (grace included) once `up` is gone.
        """
        self._drain_timeout_s = drain_timeout_s
        self._unsent = b""
        self._socket: socket.socket | None = None
        if fd is not None:
            os.set_inheritable(fd, False)
            self._socket = socket.socket(fileno=fd)

    def start(self) -> None:
        """Begin to watch for the end of `up`, in a daemon thread."""
        if self._socket is not None:
            threading.Thread(
                target=self._watch, args=(self._socket,), name="supervisor-watch", daemon=True
            ).start()

    def beat(self, state: str, healthy: bool, incarnations: tuple[str, ...] = ()) -> None:
        """Say how this process is. Never blocks: where the channel is full, the beat is dropped.

        Args:
            state: "starting", "ready" or "draining".
            healthy: False while a run lasts longer than it may.
            incarnations: A worker's own; for a gateway, those of the workers it has links to. By them `up`
                sees in a rolling restart that the gateways have a new worker.
        """
        if self._socket is None:
            return
        message: dict[str, object] = {"state": state, "healthy": healthy}
        if incarnations:
            message["incarnations"] = incarnations
        line = self._unsent or _line(message)
        try:
            # A flag and not a non-blocking socket: the watching thread blocks on the same one.
            sent = self._socket.send(line, socket.MSG_DONTWAIT)
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            return  # full: the next beat says the same; broken: the watching thread acts on it
        self._unsent = line[sent:]

    def fatal(self, sentence: str) -> bool:
        """Say why this process is about to end with status 2.

        Returns:
            Whether `up` has it; otherwise the caller prints it.
        """
        if self._socket is None:
            return False
        try:
            self._socket.settimeout(_FATAL_TIMEOUT_S)
            self._socket.sendall(self._unsent + _line({"fatal": sentence}))
        except (
            OSError
        ):  # `up` is gone or does not read: the sentence must not be lost, so the caller prints it
            return False
        return True

    def close(self) -> None:
        """Close this end and let the watching thread end."""
        channel, self._socket = self._socket, None
        if channel is not None:
            with suppress(OSError):  # `up` closed its end first
                channel.shutdown(socket.SHUT_RDWR)  # a close alone would not wake the blocked thread
            channel.close()

    def _watch(self, channel: socket.socket) -> None:
        while not _ended(channel):
            pass
        if self._socket is None:
            return  # closed by ourselves
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(self._drain_timeout_s + ORPHAN_GRACE_S)
        os._exit(1)


def _line(message: dict[str, object]) -> bytes:
    return json.dumps(message).encode() + b"\n"


def _ended(channel: socket.socket) -> bool:
    """Wait for `up` to go away: an end of file, or an error that means the same."""
    try:
        return not channel.recv(1024)
    except TimeoutError:
        return False  # `fatal` gave the socket a time limit
    except OSError:
        return True
