"""Many seeds, each a fleet with its own faults: `make sim SEEDS=5000`, `make sim SEED=17` replays one."""

import os
import secrets
from collections import Counter

import pytest

from ringserve.core.breaker import Breaker
from ringserve.core.call import Call
from ringserve.core.router.brain import Router
from ringserve.core.signature import Result
from tests.simulation.checkers import Violation
from tests.simulation.world import World

FIXED = (1, 2, 3, 5, 8, 13, 21, 34, 55, 89)
FRESH = 100


def run(seed: int) -> World:
    """Run one seed; on failure tell how to see it again."""
    world = World(seed)
    try:
        world.run()
    except Exception as error:
        error.add_note("\n  ".join(["what happened:", *world.story]) + f"\nreplay with: make sim SEED={seed}")
        raise
    return world


def seeds() -> list[int]:
    """The one asked for, or a fresh row of them."""
    if one := os.environ.get("SEED"):
        return [int(one)]
    first = secrets.randbelow(1 << 31)
    return list(range(first, first + int(os.environ.get("SEEDS") or FRESH)))


@pytest.mark.parametrize("seed", FIXED)
def test_a_seed_of_the_fixed_list_holds(seed: int) -> None:
    run(seed)


def test_fresh_seeds_hold() -> None:
    chosen = seeds()
    print(f"seeds {chosen[0]} to {chosen[-1]}")  # noqa: T201 - shown when it fails
    for seed in chosen:
        run(seed)


def test_a_seed_decides_everything() -> None:
    first, second = run(7), run(7)
    assert (first.story, first.outcomes, first.clock.events) == (
        second.story,
        second.outcomes,
        second.clock.events,
    )


def test_the_seeds_reach_what_they_are_for() -> None:
    outcomes: Counter[str] = Counter()
    moved = opened = late = 0
    for seed in range(60):
        world = run(seed)
        outcomes.update(world.outcomes)
        moved += world.router.moved
        late += world.router.late
        opened += sum(worker.breaker.opened for worker in world.router.workers)
    assert {"Result", "DeadlinePassed", "NoWorker"} <= set(outcomes)
    assert outcomes["Result"] > sum(outcomes.values()) / 2
    assert min(moved, late, opened) > 0


def run_until_it_breaks(broken: type[Router]) -> None:
    for seed in range(20):
        World(seed, broken).run()


class AnswersTwice(Router):
    def answered(
        self, index: int, call_id: int, result: Result, cached: bool, time_us: int, now: float
    ) -> None:
        call = self.workers[index].in_flight.get(call_id)
        super().answered(index, call_id, result, cached, time_us, now)
        if call is not None:
            call.answer(result, "again", cached, time_us)


class AnswersWrongly(Router):
    def answered(
        self, index: int, call_id: int, result: Result, cached: bool, time_us: int, now: float
    ) -> None:
        wrong = Result(result.layout, result.payload[::-1] + b"!")
        super().answered(index, call_id, wrong, cached, time_us, now)


class DropsSilently(Router):
    def submit(self, call: Call, now: float) -> None:
        self.accepted += 1
        self.finished += 1


class LosesCount(Router):
    def submit(self, call: Call, now: float) -> None:
        super().submit(call, now)
        self.accepted += 1


class Leaky(Breaker):
    def try_acquire(self, now: float) -> int:
        self.permits += 1
        return self._generation


class IgnoresBreakers(Router):
    def link_up(self, *args: object) -> None:
        for worker in self.workers:
            if not isinstance(worker.breaker, Leaky):
                worker.breaker = Leaky(1, 2, 60.0)
                worker.breaker.fail_unpermitted(0.0)
        super().link_up(*args)  # type: ignore[arg-type]


class ForgetsPermits(Router):
    def link_lost(self, index: int, now: float) -> None:
        self.workers[index].breaker.permits += 1
        super().link_lost(index, now)


class NeverReconnects(Router):
    def link_up(self, *args: object) -> None:
        if args[2] == 0.0:
            super().link_up(*args)  # type: ignore[arg-type]
        self.workers[0].able = False
        for worker in self.workers:
            worker.going_away = worker.link_up and self.accepted > 0
        self.balance.fleet_changed()


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        (AnswersTwice, "ended twice"),
        (AnswersWrongly, "a wrong answer"),
        (DropsSilently, "never ended"),
        (LosesCount, "accepted != finished"),
        (IgnoresBreakers, "open breaker"),
        (ForgetsPermits, "keeps"),
        (NeverReconnects, "nothing was broken any more"),
    ],
)
def test_the_checkers_see_a_router_that_is_broken(broken: type[Router], sentence: str) -> None:
    with pytest.raises(Violation, match=sentence):
        run_until_it_breaks(broken)
