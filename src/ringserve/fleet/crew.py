"""The processes of one `up`: its workers, its gateways, and those beside them that leave.

It starts, hears and buries; when, the policies and orders say.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ringserve.fleet.restart_policy import Phase

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Mapping, Sequence

    from ringserve.fleet.child import Child


class Crew:
    """Children with a place each, and predecessors without one.

    Attributes:
        workers: At least one.
        gateways: At least one; a restart changes who has the place.
        beside: Processes that gave up their place, or will; they are not started again.
    """

    def __init__(
        self,
        workers: Sequence[Child],
        gateways: Sequence[Child],
        environment: Mapping[str, str],
        listening: socket.socket | None = None,
    ) -> None:
        """Take the children; nothing is started.

        Args:
            workers: The workers.
            gateways: The gateways.
            environment: What all inherit.
            listening: The socket that the gateways inherit.
        """
        self.workers = tuple(workers)
        self.gateways = list(gateways)
        self.beside: list[Child] = []
        self._environment = environment
        self._listening = listening

    @property
    def placed(self) -> list[Child]:
        """Those with a place."""
        return [*self.workers, *self.gateways]

    @property
    def everyone(self) -> list[Child]:
        """All of them."""
        return [*self.workers, *self.gateways, *self.beside]

    @property
    def of_gateways(self) -> list[Child]:
        """The gateways with a place and without."""
        return [*self.gateways, *self.beside]

    def is_calm(self) -> bool:
        """Whether all have their place and are ready."""
        return not self.beside and all(child.policy.phase is Phase.READY for child in self.placed)

    def is_linked(self, child: Child) -> bool:
        """Whether the links that this child should have are up, by what both ends last said."""
        if child.role == "gateway":
            ready = (worker for worker in self.workers if worker.policy.phase is Phase.READY)
            return all(worker.incarnations <= child.incarnations for worker in ready)
        gateways = (gateway for gateway in self.gateways if gateway.policy.phase is Phase.READY)
        return all(child.incarnations <= gateway.incarnations for gateway in gateways)

    def hear(self, now: float) -> list[Child]:
        """Read what all said; returns those that just became ready."""
        ready = []
        for child in self.everyone:
            was = child.policy.phase
            for said in child.read():
                child.policy.beat(said.state, said.healthy, now)
            if child.policy.phase is Phase.READY and was is not Phase.READY:
                ready.append(child)
        return ready

    def channels(self) -> list[int]:
        """The descriptors to wait on for what they say; one at its end stays readable, and is left out."""
        channels = (child.channel for child in self.everyone)
        return [channel.fileno() for channel in channels if channel is not None and not channel.ended]

    def bury(self) -> Iterator[tuple[Child, int]]:
        """Look who ended; gives them with their exit status. Their policies are left to the caller."""
        for child in self.everyone:
            status = child.reap()
            if status is not None:
                child.close_channel()
                yield child, status

    def start(self, child: Child) -> None:
        """Start one.

        Raises:
            OSError: The system has no room for another process.
        """
        child.start(self._environment)

    def close_listening(self) -> None:
        """Leave the listening socket to the gateways: the last of them to close it closes the port."""
        if self._listening is not None:
            self._listening.close()

    def leave_nothing(self) -> None:
        """Whatever happened before, no process and no socket stays."""
        for child in self.everyone:
            child.kill()
            while child.alive and child.reap() is None:
                time.sleep(0.001)  # a killed process ends within moments
            child.close_channel()
        self.close_listening()
