"""Where the program touches the machine, and what stands there in a simulation: clock, listener, threads.

Everything else, the shells and both ends of the link included, is the code that runs in production.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from unittest.mock import patch

from ringserve.gateway import shell as gateway_shell
from ringserve.settings import Settings
from ringserve.worker import served as worker_served
from ringserve.worker import shell as worker_shell
from tests.simulation.loop import ProcessLoop
from tests.simulation.model import SimRuns
from tests.simulation.watch import WatchedNode, WatchedRouter

ROOMS = ("ringserve.net", "ringserve.worker", "ringserve.gateway")


def monotonic() -> float:
    """The time of the process that runs."""
    assert ProcessLoop.running is not None
    return ProcessLoop.running.time()


class NoBodies:
    """Stands for what reads large bodies; requests come without any."""

    def close(self) -> None:
        """There is nothing to end."""


class SimListener:
    """Stands for the listening socket; who asks for a link is answered by `Door`."""

    def __init__(self, settings: Settings, backend: object) -> None:
        self.draining = False
        self.connections = 0
        self.large_bodies = NoBodies()
        self.grpc = None

    def is_empty(self, now: float) -> bool:
        """Nobody is connected but by links."""
        return True

    async def close(self, now: float) -> None:
        """Take no more connections."""
        self.draining = True


@contextmanager
def simulated_edges() -> Iterator[None]:
    """Put the simulation in the machine's place, for as long as this lasts."""
    timed = [
        module
        for name, module in sys.modules.items()
        if name.startswith(ROOMS) and getattr(module, "monotonic", None) is time.monotonic
    ]
    places: list[tuple[ModuleType, str, object]] = [(module, "monotonic", monotonic) for module in timed]
    places += [
        (worker_shell, "Listener", SimListener),
        (worker_served, "Runs", SimRuns),
        (worker_served, "Node", WatchedNode),
        (gateway_shell, "Listener", SimListener),
        (gateway_shell, "Router", WatchedRouter),
    ]
    patches = [patch.object(*place) for place in places]
    quiet = logging.getLogger("ringserve")
    was_disabled = quiet.manager.disable
    for one in patches:
        one.start()
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        ProcessLoop.leave()
        logging.disable(was_disabled)
        for one in reversed(patches):
            one.stop()
