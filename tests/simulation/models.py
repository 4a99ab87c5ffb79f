"""Fleets of several models: who carries which, what is asked for, and when a worker's folder changes.

Drawn from a chance of its own, so that what else a seed decides stays as it is.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulation.fleet import Fleet

OLD, NEW = "old", "new"
"""Two files of one name and version: an operator exchanged the file."""

SECOND, SIDE = "second", "side"
"""The file of the first model's next version, and that of another model."""

FACTOR = {OLD: 3, NEW: 5, SECOND: 7, SIDE: 11}
"""What each file multiplies by."""

MANY = 0.4
"""How often a fleet has several models."""

Place = tuple[str, str]
Folder = dict[Place, str]
"""What a worker loads: the file of each name and version."""

TOY, TOY_2, OTHER = ("toy", "1"), ("toy", "2"), ("side", "1")
ASKED_ONE = (TOY,)
ASKED_MANY = (("toy", ""), ("toy", ""), ("toy", ""), ("side", ""), TOY, TOY_2)


@dataclass(frozen=True)
class Change:
    """What happens to a worker's folder.

    Attributes:
        at: When.
        worker: Whose.
        kind: `swap` for the next version of the first model, `unload` for a while without the other.
        lasts_s: For how long.
    """

    at: float
    worker: int
    kind: str
    lasts_s: float

    def __str__(self) -> str:
        return f"{self.kind} (worker {self.worker + 1}, {self.lasts_s:.2f} s)"


@dataclass(frozen=True)
class Models:
    """Which models there are.

    Attributes:
        carried: The folder of each worker as it starts.
        changes: What happens to them, in order.
    """

    carried: tuple[tuple[Place, ...], ...]
    changes: tuple[Change, ...] = ()

    @property
    def many(self) -> bool:
        """Whether there is more than one."""
        return any(places != (TOY,) for places in self.carried)

    def asked(self, seed: int, number: int) -> Place:
        """What the request of this number asks for."""
        if not self.many:
            return TOY
        return random.Random(f"{seed}/asked/{number}").choice(ASKED_MANY)


def draw_models(seed: int, fleet: Fleet, span_s: float) -> Models:
    """Draw them."""
    chance = random.Random(f"{seed}/models")
    if chance.random() >= MANY:
        return Models(((TOY,),) * fleet.workers)
    carried = [chance.choice([(TOY,), (TOY, OTHER), (TOY, OTHER), (OTHER,)]) for _ in range(fleet.workers)]
    carried[chance.randrange(fleet.workers)] = (TOY, OTHER)
    changes = []
    for worker in range(fleet.workers):
        for kind, how_often in (("swap", 0.7), ("unload", 0.3)):
            if chance.random() < how_often:
                at, lasts_s = chance.uniform(0.1, span_s), chance.choice([0.05, 0.5, 2.0])
                changes.append(Change(at, worker, kind, lasts_s))
    return Models(tuple(carried), tuple(sorted(changes, key=lambda change: change.at)))


def folder_of(places: tuple[Place, ...]) -> Folder:
    """What a worker with these models has at its start."""
    return {place: OLD if place == TOY else SIDE for place in places}
