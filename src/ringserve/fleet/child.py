"""One child process of `up`: started in a session of its own, joined by a channel, never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress

from ringserve.fleet.channel import Channel, Said
from ringserve.fleet.restart_policy import RestartPolicy


class Child:
    """A process that is started again and again from one command line.

    Attributes:
        name: What it is called in lines and in the table.
        role: "worker" or "gateway".
        address: HOST:PORT as somebody on this machine reaches it.
        model: The model's name; empty for a gateway.
        policy: Decides about its starts and its end.
        fatal: The sentence of its last life, where it ended by a usage error.
        ended: How its last process ended, as a sentence; empty before.
        incarnations: What it last said: a worker its own, a gateway those of the workers it has links to.
    """

    def __init__(
        self,
        name: str,
        role: str,
        address: str,
        command: Sequence[str],
        *,
        model: str = "",
        inherits: Sequence[int] = (),
    ) -> None:
        """Describe it; nothing is started. `inherits` are descriptors that it gets under the same numbers."""
        self.name = name
        self.role = role
        self.address = address
        self.model = model
        self.policy = RestartPolicy(0.0)
        self.fatal = ""
        self.ended = ""
        self.incarnations: frozenset[str] = frozenset()
        self._command = tuple(command)
        self._inherits = tuple(inherits)
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None

    def successor(self, now: float) -> Child:
        """Describe another one that is to take its place; its first start is due now."""
        child = Child(
            self.name, self.role, self.address, self._command, model=self.model, inherits=self._inherits
        )
        child.policy = RestartPolicy(now)
        return child

    @property
    def url(self) -> str:
        """Where it serves; its own command line says whether it speaks TLS."""
        return f"{'https' if '--tls-cert' in self._command else 'http'}://{self.address}"

    @property
    def alive(self) -> bool:
        """Whether there is a process that was not yet seen to end."""
        return self._process is not None

    @property
    def pid(self) -> int | None:
        """The process's id."""
        return self._process.pid if self._process is not None else None

    @property
    def channel(self) -> Channel | None:
        """The channel to the running process, to wait on."""
        return self._channel

    def start(self, environment: Mapping[str, str]) -> None:
        """Start the process.

        A session of its own keeps the terminal's Ctrl-C away from it: `up` stops it in its turn.

        Raises:
            OSError: The system has no room for another process.
        """
        channel = Channel()
        command = [*self._command, "--supervisor-fd", str(channel.child_fd)]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                env=dict(environment),
                pass_fds=[channel.child_fd, *self._inherits],
                start_new_session=True,
            )
        except OSError:
            channel.close()
            raise
        channel.give_away()
        self._channel, self.fatal, self.incarnations = channel, "", frozenset()

    def read(self) -> list[Said]:
        """Read what it said since the last time; a last word is kept in `fatal`."""
        said = self._channel.read() if self._channel is not None else []
        for line in said:
            self.fatal = line.fatal or self.fatal
            self.incarnations = line.incarnations or (self.incarnations if line.fatal else frozenset())
        return [line for line in said if line.state]

    def terminate(self) -> None:
        """Ask it to drain and end."""
        if self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        """End it and whatever it started, at once."""
        if self._process is not None:
            _kill_group(self._process.pid)

    def reap(self) -> int | None:
        """Look whether it ended, without waiting.

        Returns:
            Its exit status (negative: the signal), after which it can be started again; None while it lives.
        """
        if self._process is None:
            return None
        status = self._process.poll()
        if status is None:
            return None
        # What it started itself goes with it; while that lives, the id is given to nobody else.
        _kill_group(self._process.pid)
        self.read()
        self._process = None
        return status

    def close_channel(self) -> None:
        """Close the channel of an ended process."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # all gone already (macOS says it in the second way)
        os.killpg(pid, signal.SIGKILL)
