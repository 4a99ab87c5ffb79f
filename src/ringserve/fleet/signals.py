"""Signals as something a selector can wait for.

SIGHUP means two things. To a process of a terminal it says that the terminal is gone: stop. To one without a
terminal it is the old request to take things up anew, which here is a rolling restart.
"""

from __future__ import annotations

import math
import os
import select
import signal
import socket
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Self

_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """While entered: counts the requests to stop and to restart; its socket is readable at each signal.

    The kernel's SIGCHLD wakes the selector as well, so that a child's end is seen at once and nothing polls.
    """

    def __init__(self) -> None:
        """Prepare; `with` installs the handlers (main thread only)."""
        self.stops = 0
        self.restarts = 0
        # Looked at now: once a terminal is gone, it is no more to be seen that there was one.
        self._has_terminal = has_terminal()
        self._read, self._write = socket.socketpair()
        self._read.setblocking(False)
        self._write.setblocking(False)
        self._before: dict[signal.Signals, signal._HANDLER] = {}

    def __enter__(self) -> Self:
        """Install the handlers."""
        for number in (*_STOPS, signal.SIGCHLD):
            if number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue  # `nohup` wants us to outlive the terminal
            self._before[number] = signal.signal(number, self._note)
        self._wakeup_before = signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put everything back."""
        signal.set_wakeup_fd(self._wakeup_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._read.close()
        self._write.close()

    def fileno(self) -> int:
        """The descriptor to wait on for reading."""
        return self._read.fileno()

    def wait(self, others: Sequence[int], timeout_s: float | None) -> None:
        """Wait for a signal or one of these descriptors; None is for ever."""
        poll = select.poll()
        for number in (self.fileno(), *others):
            poll.register(number, select.POLLIN)
        poll.poll(None if timeout_s is None else math.ceil(1000 * timeout_s))

    def drain(self) -> None:
        """Take the wake-ups that came."""
        try:
            while self._read.recv(1024):
                pass
        except BlockingIOError:
            return

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP and not self._has_terminal:
            self.restarts += 1
        elif number != signal.SIGCHLD:
            self.stops += 1


def has_terminal() -> bool:
    """Whether this process has a controlling terminal."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
