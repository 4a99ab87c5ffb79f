"""What goes wrong: each fault is one function, and each seed draws its own mix of them.

To add one, write a function of the world and the `Fault` and put it into `FAULTS`. It must end by itself, or
`World.end_faults` must end it: what follows is a time in which nothing may fail.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.simulation.model import slower
from tests.simulation.models import NEW, TOY

if TYPE_CHECKING:
    from tests.simulation.fleet import Fleet
    from tests.simulation.world import World


@dataclass(frozen=True)
class Fault:
    """One thing that will go wrong.

    Attributes:
        at: When.
        kind: A name in `FAULTS`.
        gateway: Which gateway it concerns, if any.
        worker: Which worker it concerns, if any.
        lasts_s: For how long.
        luck: Between 0 and 1, for what is left open.
    """

    at: float
    kind: str
    gateway: int
    worker: int
    lasts_s: float
    luck: float

    def __str__(self) -> str:
        return f"{self.kind} (gateway {self.gateway + 1}, worker {self.worker + 1}, {self.lasts_s:.2f} s)"


def delay(world: World, fault: Fault) -> None:
    """A path gets slow; others do not, so that what was sent first arrives last."""
    path = world.path(fault.gateway, fault.worker)
    before, path.delay_max_s = world.plan.fleet.delay_max_s, 0.05 + 0.3 * fault.luck
    world.clock.at(world.clock.now + fault.lasts_s, lambda: setattr(path, "delay_max_s", before))


def cut(world: World, fault: Fault) -> None:
    """A connection breaks; another can be made."""
    connection = world.path(fault.gateway, fault.worker).connection
    if connection is not None:
        connection.cut(world.clock)


def cut_all(world: World, fault: Fault) -> None:
    """All links of a gateway break one after the other: what moved is stranded again."""
    for worker in range(world.plan.fleet.workers):
        when = world.clock.now + fault.luck * 0.1 * worker
        world.clock.at(when, cut, world, Fault(when, "cut", fault.gateway, worker, 0.0, fault.luck))


def partition(world: World, fault: Fault) -> None:
    """A connection breaks, and none can be made for a while."""
    world.path(fault.gateway, fault.worker).closed_until = world.clock.now + fault.lasts_s
    cut(world, fault)


def silence(world: World, fault: Fault) -> None:
    """Nothing gets through, and nobody is told."""
    path, until = world.path(fault.gateway, fault.worker), world.clock.now + fault.lasts_s
    path.heals_at = dict.fromkeys(path.heals_at, until)
    path.closed_until = until


def half_open(world: World, fault: Fault) -> None:
    """One direction is dead, and nobody is told."""
    side = "worker" if fault.luck < 0.5 else "gateway"
    path = world.path(fault.gateway, fault.worker)
    path.heals_at[side] = world.clock.now + fault.lasts_s


def hung_engine(world: World, fault: Fault) -> None:
    """Runs that begin now end late or never, while the worker answers pings."""
    worker = world.workers[fault.worker]
    if worker is not None:
        worker.hung_until = float("inf") if fault.luck < 0.4 else world.clock.now + fault.lasts_s


def frozen_worker(world: World, fault: Fault) -> None:
    """A worker's process is stopped and goes on later, with all its old answers."""
    worker = world.workers[fault.worker]
    if worker is not None:
        worker.freeze()
        world.clock.at(world.clock.now + fault.lasts_s, worker.thaw)


def slow_worker(world: World, fault: Fault) -> None:
    """A worker's runs take longer, and then no more."""
    worker = world.workers[fault.worker]
    if worker is not None:
        pace = world.plan.fleet.pace
        worker.pace = slower(pace, 2 + 8 * fault.luck)
        world.clock.at(world.clock.now + fault.lasts_s, lambda: setattr(worker, "pace", pace))


def crash(world: World, fault: Fault) -> None:
    """A worker dies and comes back as another process."""
    worker = world.workers[fault.worker]
    if worker is not None:
        world.crash(worker, fault.lasts_s)


def crash_in_run(world: World, fault: Fault) -> None:
    """A worker dies in the middle of its next batch."""
    worker = world.workers[fault.worker]
    if worker is not None:
        worker.dies_in_run = True


def lost_machine(world: World, fault: Fault) -> None:
    """A worker's machine goes dark: nobody is told that its connections are gone until it is back."""
    worker = world.workers[fault.worker]
    if worker is not None:
        for gateway in range(world.plan.fleet.gateways):
            silence(world, Fault(fault.at, "silence", gateway, fault.worker, fault.lasts_s, fault.luck))
        world.crash(worker, fault.lasts_s)


def restart(world: World, fault: Fault) -> None:
    """A worker is told to stop; another process takes its place."""
    worker = world.workers[fault.worker]
    if worker is not None:
        world.drain_worker(worker, back_after_s=fault.lasts_s)


def roll_out(world: World, fault: Fault) -> None:
    """A worker is told to stop; the process in its place has the new model."""
    folder = world.folders[fault.worker]
    if TOY in folder:
        folder[TOY] = NEW
    restart(world, fault)


def leave(world: World, fault: Fault) -> None:
    """A worker leaves for good, in peace or not, unless it is the last."""
    worker = world.workers[fault.worker]
    if worker is None or len(world.gone) + 1 >= world.plan.fleet.workers:
        return
    world.gone.add(fault.worker)
    if fault.luck < 0.5:
        world.drain_worker(worker, back_after_s=None)
    else:
        world.crash(worker, None)


def frozen_gateway(world: World, fault: Fault) -> None:
    """A gateway's process sleeps, and must not take its own sleep for its workers' silence."""
    gateway = world.gateways[fault.gateway]
    if gateway is not None:
        gateway.freeze()
        world.clock.at(world.clock.now + fault.lasts_s, gateway.thaw)


def all_sleep(world: World, fault: Fault) -> None:
    """The machine sleeps, and wakes far in the future."""
    processes = [one for one in [*world.gateways, *world.workers] if one is not None]
    for process in processes:
        process.freeze()

    def wake() -> None:
        for process in processes:
            process.thaw()

    world.clock.at(world.clock.now + fault.lasts_s, wake)


def gateway_crash(world: World, fault: Fault) -> None:
    """A gateway dies, its callers with it; it comes back later."""
    gateway = world.gateways[fault.gateway]
    if gateway is not None:
        world.crash_gateway(gateway, fault.lasts_s)


def gateway_restart(world: World, fault: Fault) -> None:
    """A gateway is told to stop; another process takes its place."""
    gateway = world.gateways[fault.gateway]
    if gateway is not None:
        world.drain_gateway(gateway, fault.lasts_s)


FAULTS: dict[str, Callable[[World, Fault], None]] = {
    function.__name__: function
    for function in (
        delay,
        cut,
        cut_all,
        partition,
        silence,
        half_open,
        hung_engine,
        frozen_worker,
        slow_worker,
        crash,
        crash_in_run,
        lost_machine,
        restart,
        roll_out,
        leave,
        frozen_gateway,
        all_sleep,
        gateway_crash,
        gateway_restart,
    )
}


def draw_faults(chance: random.Random, fleet: Fleet, span_s: float) -> list[Fault]:
    """Draw a mix of kinds and then faults of these kinds, some of them right after each other."""
    kinds = chance.sample(list(FAULTS), chance.randint(1, 6))
    faults = []
    at = 0.0
    for _ in range(chance.choice([1, 3, 6, 10])):
        at = at + chance.uniform(0.0, 0.1) if at and chance.random() < 0.3 else chance.uniform(0.1, span_s)
        lasts_s = chance.choice([0.05, 0.3, 1.0]) * chance.uniform(0.5, 3.0)
        gateway, worker = chance.randrange(fleet.gateways), chance.randrange(fleet.workers)
        kind = chance.choice(kinds)
        if kind == "all_sleep":
            lasts_s *= chance.choice([1, 30])
        if kind == "hung_engine":
            lasts_s += 1.5
        faults.append(Fault(at, kind, gateway, worker, lasts_s, chance.random()))
    return sorted(faults, key=lambda fault: fault.at)
