"""The order of a rolling restart, with real policies over children that take their time or die."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringserve import limits
from ringserve.fleet.restart_policy import Action, Phase, RestartPolicy
from ringserve.fleet.roll_order import Act, RollOrder, Stage, Standing

DRAIN_LIMIT_S = 30.0
TICK_S = 0.5


class Process:
    """A child's process: ready after a while, linked a while later, gone a while after it was asked."""

    def __init__(self, now: float, times: Callable[[], float]) -> None:
        self.ready_at = now + times()
        self.linked_at = self.ready_at + times()
        self.drain_s = times()
        self.ends_at = float("inf")


class Place:
    """A child: its policy, its process, and what it replaces."""

    def __init__(self, name: str, now: float) -> None:
        self.name = name
        self.policy = RestartPolicy(now)
        self.process: Process | None = None
        self.predecessor: Place | None = None


class World:
    """A shell that does what the policies and the order say; `broken` children die instead of being ready."""

    def __init__(self, workers: int, gateways: int, seed: int, broken: frozenset[str] = frozenset()) -> None:
        self.random = random.Random(seed)
        self.broken = broken
        self.now = 0.0
        self.workers = [Place(f"worker_{number}", 0.0) for number in range(workers)]
        self.gateways = [Place(f"gateway_{number}", 0.0) for number in range(gateways)]
        self.leaving: list[Place] = []
        self.acts: list[tuple[Act, str]] = []
        self.order: RollOrder | None = None
        self.run_until(lambda: all(self.serves(one) for one in [*self.workers, *self.gateways]))

    def times(self) -> float:
        return self.random.uniform(0.01, 5.0)

    def serves(self, place: Place) -> bool:
        process = place.process
        return process is not None and place.policy.phase is Phase.READY and self.now >= process.linked_at

    def run_until(self, done: Callable[[], bool], limit_s: float = 10_000.0) -> None:
        while not done():
            assert self.now < limit_s
            self.step()

    def begin(self) -> RollOrder:
        self.order = RollOrder(len(self.workers), len(self.gateways), self.now)
        return self.order

    def roll(self) -> RollOrder:
        order = self.begin()
        self.run_until(lambda: order.is_over)
        return order

    def step(self) -> None:
        self.now += TICK_S
        for place in [*self.workers, *self.gateways, *self.leaving]:
            self.live(place)
        for place in [*self.workers, *self.gateways, *self.leaving]:
            action = place.policy.due(self.now)
            if action is Action.START:
                place.policy.started(self.now)
                place.process = Process(self.now, self.times)
            elif action is Action.KILL and place.process is not None:
                place.process.ends_at = self.now
        while self.order is not None and (steps := self.order.look(self.now, *self.standings())):
            for step in steps:
                self.take(step.act, (self.gateways if step.is_gateway else self.workers), step.index)

    def live(self, place: Place) -> None:
        process = place.process
        if process is None:
            return
        reborn = place.name in self.broken and self.order is not None and self.order.stage is Stage.ARRIVING
        if self.now >= process.ends_at or (reborn and place.policy.phase is Phase.STARTING):
            place.policy.died(self.now, usage_error=False)
            place.process = None
            if place in self.leaving:
                self.leaving.remove(place)
        else:
            state = "ready" if self.now >= process.ready_at else "starting"
            place.policy.beat(state, state == "ready", self.now)

    def standings(self) -> tuple[list[Standing], list[Standing]]:
        def of(place: Place) -> Standing:
            before = place.predecessor is not None and place.predecessor.process is not None
            linked = place.process is not None and self.now >= place.process.linked_at
            return Standing(place.name, place.policy, linked, before)

        return [of(place) for place in self.workers], [of(place) for place in self.gateways]

    def take(self, act: Act, places: list[Place], index: int) -> None:
        place = places[index]
        self.acts.append((act, place.name))
        before = place.predecessor
        if act is Act.DRAIN:
            others = [one for one in self.workers if one is not place]
            assert all(self.serves(one) or one.policy.phase is Phase.GIVEN_UP for one in others)
            self.ask(place)
        elif act is Act.RENEW:
            place.policy.renew(self.now)
        elif act is Act.REPLACE:
            places[index] = Place(place.name, self.now)
            places[index].predecessor = place
            self.leaving.append(place)
        elif act is Act.RETIRE:
            assert self.serves(place)
            assert before is not None
            self.ask(before)
        else:
            assert before is not None
            self.leaving.remove(before)
            places[index] = before

    def ask(self, place: Place) -> None:
        assert place.process is not None
        place.policy.leave(self.now, DRAIN_LIMIT_S)
        place.process.ends_at = self.now + place.process.drain_s


@given(st.integers(1, 6), st.integers(1, 4), st.integers(0, 1 << 30))
def test_all_are_renewed_once_and_one_after_another(workers: int, gateways: int, seed: int) -> None:
    world = World(workers, gateways, seed)
    old = [place.process for place in [*world.workers, *world.gateways]]
    order = world.roll()
    assert order.failure == ""
    assert [name for act, name in world.acts if act is Act.DRAIN] == [one.name for one in world.workers]
    renewed = [(act, place.name) for place in world.gateways for act in (Act.REPLACE, Act.RETIRE)]
    assert world.acts[workers:] == renewed
    assert not {*old} & {place.process for place in [*world.workers, *world.gateways]}
    assert world.leaving == []
    assert all(world.serves(place) for place in [*world.workers, *world.gateways])


@given(st.integers(1, 5), st.integers(1, 3), st.integers(0, 1 << 30), st.data())
def test_one_that_does_not_come_up_ends_it_where_it_is(
    workers: int, gateways: int, seed: int, data: st.DataObject
) -> None:
    names = [f"worker_{number}" for number in range(workers)]
    names += [f"gateway_{number}" for number in range(gateways)]
    culprit = data.draw(st.sampled_from(names))
    world = World(workers, gateways, seed, frozenset({culprit}))
    before = {place.name: place.process for place in [*world.workers, *world.gateways]}
    order = world.roll()
    assert order.failure.startswith(f"the new {culprit} did not become ready")
    assert order.done == names.index(culprit)
    for name, place in zip(names, [*world.workers, *world.gateways], strict=True):
        later = names.index(name) > order.done
        gateway = name == culprit and name.startswith("gateway")
        if later or gateway:
            assert place.process is before[name], "what had not its turn, and a gateway's predecessor, stay"
    world.broken = frozenset()
    world.order = None
    world.run_until(lambda: all(world.serves(place) for place in [*world.workers, *world.gateways]))


@given(
    st.integers(2, 6), st.integers(1, 3), st.integers(0, 1 << 30), st.lists(st.integers(0, 99), max_size=4)
)
def test_workers_that_die_meanwhile_are_waited_for(
    workers: int, gateways: int, seed: int, blows: list[int]
) -> None:
    """`take` asserts at each step that nothing else is away; the restart ends, well or with a reason."""
    world = World(workers, gateways, seed)
    order, steps = world.begin(), 0
    while not order.is_over:
        assert steps < 10_000
        if steps in blows:
            victim = world.workers[seed % workers]
            if victim.process is not None:
                victim.process.ends_at = world.now
        world.step()
        steps += 1
    assert order.failure == "" or "did not become ready" in order.failure


@given(st.integers(1, 4), st.integers(1, 3), st.integers(0, 1 << 30), st.integers(0, 6))
def test_what_was_given_up_gets_another_chance(workers: int, gateways: int, seed: int, which: int) -> None:
    world = World(workers, gateways, seed)
    places = [*world.workers, *world.gateways]
    place = places[which % len(places)]
    place.policy.died(world.now, usage_error=True)
    place.process = None
    assert world.roll().failure == ""
    assert (Act.RENEW, place.name) in world.acts
    assert all(world.serves(one) for one in [*world.workers, *world.gateways])


def test_one_that_does_not_end_is_killed_and_ends_the_restart() -> None:
    world = World(2, 1, seed=1)
    assert world.workers[0].process is not None
    world.workers[0].process.drain_s = 1e9
    order = world.roll()
    assert order.failure == "worker_0 did not end within 30 s and was killed"
    assert world.acts == [(Act.DRAIN, "worker_0")]


@pytest.mark.parametrize("role", ["worker", "gateway"])
def test_one_that_takes_too_long_to_serve_ends_the_restart(role: str) -> None:
    world = World(2, 2, seed=2)
    order = world.begin()
    world.run_until(lambda: order.stage is Stage.ARRIVING and order.done == (0 if role == "worker" else 2))
    place = (world.workers if role == "worker" else world.gateways)[0]
    world.run_until(lambda: place.process is not None or order.is_over)
    assert place.process is not None
    place.process.linked_at = float("inf")
    began = world.now
    world.run_until(lambda: order.is_over)
    assert order.failure == f"the new {place.name} has no links after {limits.ROLL_WAIT_MAX_S:g} s"
    assert world.now - began <= limits.ROLL_WAIT_MAX_S + 10
    assert (Act.DISMISS in {act for act, _ in world.acts}) == (role == "gateway")


def test_while_another_worker_is_away_none_is_asked_to_go() -> None:
    world = World(2, 1, seed=3)
    assert world.workers[1].process is not None
    world.workers[1].process.linked_at = float("inf")
    order = world.begin()
    assert order.next_wake() == world.now + limits.ROLL_WAIT_MAX_S
    world.run_until(lambda: order.is_over)
    assert order.failure.startswith("worker_1 is not serving, and worker_0 must not go as well after 600 s")
    assert world.acts == []


def test_what_the_shell_saw_ends_it_and_the_first_reason_stays() -> None:
    order = RollOrder(1, 1, 0.0)
    order.fail("one")
    order.fail("two")
    assert (order.is_over, order.failure, order.next_wake()) == (True, "one", None)
