"""A simulated connection: in order, late by chance, and gone at once when it is cut."""

import random

from tests.simulation.clock import Action, Clock


class Link:
    """One connection between the gateway and one worker; a new one is made for each reconnection."""

    def __init__(self, clock: Clock, chance: random.Random, delay_max_s: float) -> None:
        self.alive = True
        self._clock = clock
        self._chance = chance
        self._delay_max_s = delay_max_s
        self._last = {"worker": 0.0, "gateway": 0.0}

    def to_worker(self, action: Action) -> None:
        """Deliver to the worker, unless the link breaks first."""
        self._deliver("worker", action)

    def to_gateway(self, action: Action) -> None:
        """Deliver to the gateway, unless the link breaks first."""
        self._deliver("gateway", action)

    def _deliver(self, end: str, action: Action) -> None:
        when = max(self._last[end], self._clock.now + self._chance.uniform(0.0, self._delay_max_s))
        self._last[end] = when
        self._clock.at(when, lambda: action() if self.alive else None)
