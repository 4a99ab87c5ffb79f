"""How large a fleet is, and how it is set: drawn from the seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from ringserve.core.retry_budget import RetryBudget
from ringserve.core.router.brain import Router
from ringserve.core.tensor import ModelSpec
from ringserve.settings import Settings, defaults_for
from tests.simulation.model import Pace, spec_of
from tests.simulation.models import Place

BIG = 0.12
"""How many of the fleets are large; they cost the most time."""


@dataclass(frozen=True)
class Fleet:
    """What was drawn.

    Attributes:
        gateways: How many.
        workers: How many are configured.
        gateway: The settings of each gateway.
        worker: The settings of each worker.
        pace: How fast the engines are.
        cacheable: Whether the model may be cached.
        fixed: Whether the model has a fixed batch of 1.
        delay_max_s: The longest a byte takes.
        parked_max: Requests that may wait for a trial.
        budget: Ratio and a second's share of the retry budget.
    """

    gateways: int
    workers: int
    gateway: Settings
    worker: Settings
    pace: Pace
    cacheable: bool
    fixed: bool
    delay_max_s: float
    parked_max: int
    budget: tuple[float, float]

    @property
    def addresses(self) -> list[str]:
        """The workers as every gateway lists them."""
        return [f"10.0.0.{index + 1}:8001" for index in range(self.workers)]

    def spec(self, place: Place, digest: str) -> ModelSpec:
        """Describe a model."""
        return spec_of(place, digest, self.worker.max_batch, self.cacheable, self.fixed)

    def tune(self, router: Router) -> None:
        """Set what is no flag."""
        router.settings = replace(router.settings, parked_max=self.parked_max)
        router.budget = RetryBudget(*self.budget)

    def describe(self) -> str:
        """The fleet in one line."""
        gateway, worker = self.gateway, self.worker
        return (
            f"{self.gateways} gateways, {self.workers} workers; threshold {gateway.failure_threshold}, "
            f"circuit {gateway.circuit_timeout_s:.2f} s, hang {gateway.hang_timeout_s:.2f} s; "
            f"batch {worker.max_batch}{' fixed' * self.fixed} {worker.batch_policy} "
            f"{worker.batch_timeout_ms:.0f} ms, "
            f"cache {worker.cache_capacity if self.cacheable else 'off'}, queue {worker.max_queue}, "
            f"credit {worker.credit_items or 'auto'}; runs {self.pace.run_s * 1e3:.0f} ms x "
            f"{self.pace.slots}{' inline' * self.pace.inline}, delays {self.delay_max_s * 1e3:.0f} ms"
        )


def draw_fleet(chance: random.Random) -> Fleet:
    """Draw a fleet: mostly small, for time is short, and now and then a large one."""
    big = chance.random() < BIG
    max_batch = chance.choice([1, 2, 4, 8])
    pace = Pace(
        run_s=chance.choice([0.002, 0.02, 0.1]),
        row_s=chance.choice([0.0, 0.002, 0.01]),
        slots=chance.choice([1, 1, 2]) if max_batch > 1 else 2,
        inline=chance.random() < 0.1,
    )
    max_queue = chance.choice([4, 16, 1024, 1024])
    hang_timeout_s = chance.choice([0.6, 1.0, 2.0])
    common = replace(
        defaults_for("worker"),
        hang_timeout_s=hang_timeout_s,
        drain_timeout_s=chance.choice([0.05, 0.3, 5.0]),
        drain_grace_s=chance.choice([0.0, 0.0, 0.2]),
    )
    worker = replace(
        common,
        max_batch=max_batch,
        batch_timeout_ms=chance.choice([2.0, 20.0, 100.0]),
        batch_policy=chance.choice(["eager", "eager", "window"]),
        cache_capacity=chance.choice([0, 2, 1000]),
        cache_mb=chance.choice([0.0003, 0.001, 256.0]),
        max_queue=max_queue,
        max_wait_ms=chance.choice(["auto", "auto", 100.0]),
        credit_items=chance.choice([0, 0, 2, 8]),
        credit_mb=chance.choice([256.0, 256.0, 64 / (1 << 20)]),
        run_timeout_s=chance.choice([0.0, 0.0, 1.0]),
    )
    gateway = replace(
        common,
        virtual_nodes=chance.choice([2, 10]),
        failure_threshold=chance.choice([1, 2, 5]),
        success_threshold=chance.choice([1, 2, 3]),
        circuit_timeout_s=chance.choice([0.3, 1.0, 2.0]),
    )
    return Fleet(
        gateways=chance.randint(2, 4) if big else chance.choice([1, 1, 1, 2]),
        workers=chance.randint(5, 12) if big else chance.randint(1, 4),
        gateway=gateway,
        worker=worker,
        pace=pace,
        cacheable=chance.random() < 0.85,
        fixed=max_batch == 1 and chance.random() < 0.7,
        delay_max_s=chance.choice([0.0, 0.001, 0.02, 0.1]),
        parked_max=chance.choice([0, 3, 1024]),
        budget=chance.choice([(0.2, 10.0), (0.1, 0.2), (0.0, 0.1)]),
    )
