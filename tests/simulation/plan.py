"""All that one seed decides, drawn before anything happens, so that a part of it can be left out."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from tests.simulation.faults import Fault, draw_faults
from tests.simulation.fleet import Fleet, draw_fleet
from tests.simulation.models import Models, draw_models
from tests.simulation.workload import Request, draw_requests

JOINS_LATE = 0.1


@dataclass(frozen=True)
class Plan:
    """What will happen.

    Attributes:
        seed: Where it came from; it goes on deciding delays and the like.
        fleet: Who takes part.
        starts: When each worker first starts.
        requests: What is asked while things go wrong.
        faults: What goes wrong.
        span_s: When the last of both begins, at the latest.
        models: Which models there are, and how that changes.
    """

    seed: int
    fleet: Fleet
    starts: tuple[float, ...]
    requests: tuple[Request, ...]
    faults: tuple[Fault, ...]
    span_s: float
    models: Models


def draw_plan(seed: int) -> Plan:
    """Draw the plan of a seed."""
    chance = random.Random(f"{seed}/plan")
    fleet = draw_fleet(chance)
    span_s = chance.choice([1.0, 2.0, 4.0])
    late = [
        chance.uniform(0.0, span_s) if chance.random() < JOINS_LATE else 0.0 for _ in range(fleet.workers)
    ]
    late[chance.randrange(fleet.workers)] = 0.0
    requests = draw_requests(chance, fleet.gateways, span_s, fleet.pace.seconds(fleet.worker.max_batch))
    faults = draw_faults(chance, fleet, span_s)
    models = draw_models(seed, fleet, span_s)
    if models.many:
        requests = [replace(one, asked=models.asked(seed, at)) for at, one in enumerate(requests)]
    return Plan(seed, fleet, tuple(late), tuple(requests), tuple(faults), span_s, models)
