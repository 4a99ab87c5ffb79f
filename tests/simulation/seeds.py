"""Many seeds on all cores: the first that fails is told, the marks of all are counted."""

from __future__ import annotations

import multiprocessing
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from tests.simulation.marks import Marks
from tests.simulation.plan import draw_plan
from tests.simulation.world import World

CHUNK = 20
PROCESSES_MAX = 4


@dataclass
class Tally:
    """What some seeds gave.

    Attributes:
        seeds: How many ran.
        failed: Those that failed.
        marks: How many seeds reached each mark.
        outcomes: How often each outcome came.
    """

    seeds: int = 0
    failed: list[int] = field(default_factory=list)
    marks: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        """Take in what other seeds gave."""
        self.seeds += other.seeds
        self.failed += other.failed
        self.marks.update(other.marks)
        self.outcomes.update(other.outcomes)


def run_seeds(first: int, count: int) -> Tally:
    """Run seeds one after another, here."""
    tally = Tally()
    for seed in range(first, first + count):
        marks: list[Marks] = []

        def watch(world: World, marks: list[Marks] = marks) -> list[Marks]:
            marks.append(Marks(world))
            return marks

        world = World(draw_plan(seed), watch)  # type: ignore[arg-type]
        tally.seeds += 1
        try:
            world.run()
        except Exception:  # noqa: BLE001 - whatever a brain raises is a finding; it is run again and told
            tally.failed.append(seed)
        tally.marks.update(marks[0].reached())
        tally.outcomes.update(world.outcomes)
    return tally


def run_everywhere(first: int, count: int) -> Iterator[Tally]:
    """Run seeds on all cores; yields the tally of each small part when it is done."""
    chunks = [(at, min(CHUNK, first + count - at)) for at in range(first, first + count, CHUNK)]
    processes = min(PROCESSES_MAX, os.cpu_count() or 1, len(chunks))
    # A fork would take along whatever threads and locks the tests have by now.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=spawn) as pool:
        yield from pool.map(_run_chunk, chunks)


def _run_chunk(chunk: tuple[int, int]) -> Tally:
    return run_seeds(*chunk)
