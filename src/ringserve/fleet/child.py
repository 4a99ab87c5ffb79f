"""One child process of `ringserve up`: the process, its channel, and the policy that decides about it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence

from ringserve.fleet.channel import Channel
from ringserve.fleet.command_lines import child_environment
from ringserve.fleet.restart_policy import Action, RestartPolicy

USAGE_STATUS = 2


class Child:
    """A worker or the gateway.

    Attributes:
        fatal: The last sentence of a child that ended by a usage error; empty otherwise.
    """

    def __init__(self, name: str, role: str, address: str, command: Sequence[str], now: float) -> None:
        """Describe the child; `act` starts it when it is due."""
        self.name = name
        self.role = role
        self.address = address
        self.policy = RestartPolicy(now)
        self.fatal = ""
        self._command = list(command)
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None

    @property
    def pid(self) -> int:
        """The process's number; 0 where there is none."""
        return self._process.pid if self._process is not None else 0

    @property
    def running(self) -> bool:
        """Whether the process was there when it was last looked at."""
        return self._process is not None

    def act(self, now: float) -> Action:
        """Do what the policy says is due; returns what was done."""
        action = self.policy.due(now)
        if action is Action.START:
            self._start()
            self.policy.started(now)
        elif action is Action.KILL:
            self.kill()
        return action

    def listen(self, now: float) -> None:
        """Take what the child said since last time."""
        if self._channel is None:
            return
        for said in self._channel.read():
            if said.fatal:
                self.fatal = said.fatal
            else:
                self.policy.beat(said.state, said.healthy, now)

    def reap(self, now: float) -> int | None:
        """Notice the process's end; returns its status once, None while it runs or when there is none."""
        if self._process is None:
            return None
        status = self._process.poll()
        if status is None:
            return None
        self.listen(now)
        self._process = None
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        self.policy.died(now, usage_error=status == USAGE_STATUS)
        return status

    def terminate(self) -> None:
        """Ask the process to drain."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the process at once."""
        if self._process is not None:
            self._process.kill()

    def _start(self) -> None:
        channel = Channel()
        fd = channel.child_fd
        self._process = subprocess.Popen(
            [*self._command, "--supervisor-fd", str(fd)],
            stdin=subprocess.DEVNULL,
            pass_fds=[fd],
            start_new_session=True,
            env=child_environment(os.environ),
        )
        channel.give_away()
        self._channel = channel
        self.fatal = ""
