"""One rolling restart: does to the crew what `roll_order` says, and tells whoever waits for it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ringserve.fleet.child import Child
from ringserve.fleet.crew import Crew
from ringserve.fleet.restart_policy import Phase
from ringserve.fleet.roll_order import Act, Do, RollOrder, Standing

_log = logging.getLogger("ringserve.fleet")


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a child may take to drain, in seconds, before it is killed."""

    gateway_s: float
    worker_s: float


class Roll:
    """A restart under way."""

    def __init__(self, crew: Crew, limits: Limits, tell: Callable[..., None], now: float) -> None:
        """Begin; `turn` does the rest.

        Args:
            crew: Whom to renew.
            limits: How long each may drain.
            tell: Sends what the keywords say to whoever waits.
            now: The time.
        """
        self._crew = crew
        self._limits = limits
        self._tell = tell
        self._order = RollOrder(len(crew.workers), len(crew.gateways), now)
        self._predecessor: Child | None = None
        self._told: tuple[int, object] | None = None

    @property
    def failure(self) -> str:
        """Why it ended early, as one sentence; empty otherwise."""
        return self._order.failure

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to do."""
        return self._order.is_over

    def turn(self, now: float) -> None:
        """Take it as far as it goes now."""
        while steps := self._order.look(
            now, self._standings(self._crew.workers), self._standings(self._crew.gateways)
        ):
            self._say()
            for step in steps:
                self._take(step, now)
        self._say()

    def next_wake(self) -> float | None:
        """Say when `turn` may have something to do if nobody ends and nobody says anything."""
        return self._order.next_wake()

    def ended_badly(self, child: Child, how: str) -> None:
        """A child that was asked to leave did not end as a drained one does."""
        self._order.fail(f"{child.name} {how} while draining, so it may have left requests unanswered")

    def _standings(self, children: Sequence[Child]) -> list[Standing]:
        before = self._predecessor if self._predecessor in self._crew.beside else None
        return [
            Standing(
                child.name,
                child.policy,
                self._crew.is_linked(child),
                predecessor=before is not None and before.name == child.name,
                ended=child.ended,
            )
            for child in children
        ]

    def _take(self, step: Do, now: float) -> None:
        crew = self._crew
        child = crew.gateways[step.index] if step.is_gateway else crew.workers[step.index]
        if step.act is Act.DRAIN:
            self._leave(child, self._limits.worker_s, now)
        elif step.act is Act.RENEW:
            child.policy.renew(now)
        elif step.act is Act.REPLACE:
            self._predecessor = child
            crew.beside.append(child)
            crew.gateways[step.index] = child.successor(now)
        elif self._predecessor is not None and step.act is Act.RETIRE:
            self._leave(self._predecessor, self._limits.gateway_s, now)
        elif self._predecessor is not None and step.act is Act.DISMISS:
            crew.beside.remove(self._predecessor)
            crew.gateways[step.index] = self._predecessor
            if child.alive:
                crew.beside.append(child)
                self._leave(child, self._limits.gateway_s, now)

    def _leave(self, child: Child, limit_s: float, now: float) -> None:
        if child.policy.phase in {Phase.STARTING, Phase.READY}:
            child.policy.leave(now, limit_s)
            child.terminate()

    def _say(self) -> None:
        order = self._order
        state = (order.done, order.stage)
        if state == self._told or order.failure:
            return
        self._told = state
        placed = self._crew.placed
        if order.done < order.total:
            self._tell(name=placed[order.done].name, stage=order.stage.value, done=order.done)
