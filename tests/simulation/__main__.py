"""`make sim`: many seeds with a bar (N=20000), or one with its whole story (SEED=17)."""

from __future__ import annotations

import os
import secrets
import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.simulation.marks import MARKS
from tests.simulation.plan import draw_plan
from tests.simulation.seeds import Tally, run_everywhere
from tests.simulation.story import Storyteller, explain, live, try_plan
from tests.simulation.world import World

COUNT = 2000
SHOWN_MAX = 3
"""So many failing seeds are made short and told; the rest are named."""


def replay(seed: int, console: Console) -> int:
    """Tell all that happens in one seed; 1 if it fails."""
    world = World(draw_plan(seed), lambda world: [Storyteller(world)])
    failure = live(world)
    console.print("\n".join(world.story), markup=False, highlight=False)
    if failure is None:
        console.print(f"seed {seed} holds: {dict(world.outcomes)}", markup=False, highlight=False)
        return 0
    console.print(explain(seed, failure), markup=False, highlight=False)
    return 1


def sweep(first: int, count: int, console: Console) -> int:
    """Run many seeds; 1 if one fails."""
    console.print(f"seeds {first} to {first + count - 1}", highlight=False)
    total = Tally()
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("seeds", total=count)
        for tally in run_everywhere(first, count):
            total.add(tally)
            for seed in tally.failed:
                console.print(f"seed {seed} fails", highlight=False)
            progress.update(bar, advance=tally.seeds, description=f"seeds, {len(total.failed)} failed")
    for mark in MARKS:
        console.print(f"{total.marks[mark]:8} {mark}", highlight=False)
    console.print(f"{total.outcomes.total()} requests: {dict(total.outcomes.most_common())}", highlight=False)
    for seed in total.failed[:SHOWN_MAX]:
        failure = try_plan(draw_plan(seed))
        if failure is not None:
            console.print(explain(seed, failure), markup=False, highlight=False)
    console.print(f"{total.seeds} seeds, {len(total.failed)} failed: {total.failed[:20]}", highlight=False)
    return 1 if total.failed else 0


def main() -> int:
    """Do what the environment asks for."""
    console = Console(soft_wrap=True)
    if seed := os.environ.get("SEED"):
        return replay(int(seed), console)
    return sweep(secrets.randbelow(1 << 40), int(os.environ.get("N") or COUNT), console)


if __name__ == "__main__":
    sys.exit(main())
