"""A run told to a person: all that happened, or the shortest plan that still fails in the same way."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from ringserve.core.batcher import Batch
from ringserve.core.call import Call
from ringserve.core.signature import Result
from ringserve.errors import ServeError
from tests.simulation.plan import Plan, draw_plan
from tests.simulation.watch import Watcher
from tests.simulation.world import World

if TYPE_CHECKING:
    from tests.simulation.process import GatewayProcess, WorkerProcess
    from tests.simulation.workload import Caller

RUNS_MAX = 150
"""So many runs are spent on making a failure shorter."""

T = TypeVar("T")


@dataclass(frozen=True)
class Failure:
    """What went wrong.

    Attributes:
        kind: The failure without its numbers, by which two are told to be the same.
        sentence: The failure.
        story: What led to it.
    """

    kind: str
    sentence: str
    story: list[str]


class Storyteller(Watcher):
    """Adds every request and every run to the story."""

    def submitted(self, gateway: GatewayProcess, caller: Caller) -> None:
        request = caller.request
        self._tell(
            f"{gateway.name} accepts {self._name(caller)}: {request.rows} x {request.width}, "
            f"{request.timeout_s:g} s"
        )

    def left(self, gateway: GatewayProcess, caller: Caller) -> None:
        self._tell(f"the caller of {self._name(caller)} leaves {gateway.name}")

    def sent(self, gateway: GatewayProcess, index: int, call: Call) -> None:
        state = gateway.router.workers[index].breaker.state_at(gateway.now).name
        self._tell(f"{gateway.name} sends {self._name(call)} to worker {index + 1} ({state}) as {call.id}")

    def ended(self, caller: Caller, outcome: Result | ServeError, node_id: str, cached: bool) -> None:
        what = repr(outcome) if isinstance(outcome, ServeError) else f"by {node_id}{' cached' * cached}"
        self._tell(f"{caller.gateway.name} ends {self._name(caller)}: {what}")

    def refused(self, gateway: GatewayProcess, index: int, call: Call | None, error: ServeError) -> None:
        if call is not None:
            self._tell(f"worker {index + 1} refuses {self._name(call)} of {gateway.name}: {error!r}")

    def link_came(self, gateway: GatewayProcess, index: int, fresh: bool) -> None:
        self._tell(f"{gateway.name} has a link to worker {index + 1}{', a new process' * fresh}")

    def link_went(self, gateway: GatewayProcess, index: int, stranded: list[Call], leaving: bool) -> None:
        self._tell(f"{gateway.name} lost its link to worker {index + 1}, with {len(stranded)} requests")

    def run_started(self, worker: WorkerProcess, batch: Batch) -> None:
        self._tell(
            f"{worker.name} runs {len(batch.flights)} inputs, {batch.rows} rows ({batch.reason.value})"
        )

    def _name(self, call: Call) -> str:
        return f"{call.key.hex()[:6]}~{call.received_at % 1000:.3f}"

    def _tell(self, sentence: str) -> None:
        self.world.tell(sentence)


def try_plan(plan: Plan, *, told: bool = False) -> Failure | None:
    """Live through a plan; with `told` the story holds every request."""
    return live(World(plan, (lambda world: [Storyteller(world)]) if told else None))


def live(world: World) -> Failure | None:
    """Run a world; None if all that must hold held."""
    try:
        world.run()
    except Exception as error:  # noqa: BLE001 - whatever a brain raises is a finding
        sentence = f"{type(error).__name__}: {error}"
        return Failure(re.sub(r"\d+(\.\d+)?", "N", sentence)[:60], sentence, world.story)
    return None


def shorten(plan: Plan, kind: str) -> Plan:
    """Leave out faults and requests as long as the plan fails in the same way."""
    runs = 0

    def fails(shorter: Plan) -> bool:
        nonlocal runs
        runs += 1
        failure = try_plan(shorter)
        return failure is not None and failure.kind == kind

    def enough() -> bool:
        return runs >= RUNS_MAX

    faults = _without(plan.faults, lambda kept: fails(replace(plan, faults=kept)), enough)
    plan = replace(plan, faults=faults)
    requests = _without(plan.requests, lambda kept: fails(replace(plan, requests=kept)), enough)
    return replace(plan, requests=requests)


def _without(
    items: tuple[T, ...], fails: Callable[[tuple[T, ...]], bool], enough: Callable[[], bool]
) -> tuple[T, ...]:
    """Leave out parts, first large ones and then small ones (Zeller's delta debugging)."""
    size = len(items)
    while size >= 1 and not enough():
        at = 0
        while at < len(items) and not enough():
            kept = items[:at] + items[at + size :]
            if fails(kept):
                items = kept
            else:
                at += size
        size //= 2
    return items


def explain(seed: int, failure: Failure) -> str:
    """The failure of a seed: its shortest story, and how to see all of it."""
    plan = shorten(draw_plan(seed), failure.kind)
    shortest = try_plan(plan, told=True) or failure
    story = "\n  ".join(shortest.story)
    return (
        f"seed {seed}: {failure.sentence}\nthe shortest story ({len(plan.faults)} faults, "
        f"{len(plan.requests)} requests):\n  {story}\n  {shortest.sentence}\n"
        f"replay all of it with: make sim SEED={seed}"
    )
