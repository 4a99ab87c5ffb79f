"""In which order a running fleet is renewed, process by process. Pure: time is an argument.

Theory of operation. Workers first, then gateways, one at a time. A worker leaves before its successor
starts, because both need the same port; it is only asked to once all others serve, so that a restart never
takes away more than one. A gateway's successor is started beside it, because they share the listening
socket, and the old one leaves when the new one serves. The turn of one child::

    worker    BEFORE --DRAIN--> LEAVING --ended--> ARRIVING --ready and linked--> next turn
    gateway   BEFORE --REPLACE--> ARRIVING --ready and linked, RETIRE--> LEAVING --ended--> next turn
    either, with no process   BEFORE --RENEW--> ARRIVING --ready and linked--> next turn

"Linked" is for a worker that every ready gateway has a link to its new process, and for a gateway that it
has one to every ready worker: only then may the next one go. What dies or takes too long on arrival ends the
restart: everything else keeps serving, and the one that failed is left to its `RestartPolicy`; a gateway
that did not arrive is dismissed and its predecessor stays.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from ringserve import limits
from ringserve.fleet.restart_policy import Phase, RestartPolicy


class Act(enum.Enum):
    """What the shell is to do with the child whose turn it is."""

    DRAIN = "drain"
    """Ask it to leave; its policy starts it again."""
    RENEW = "renew"
    """There is no process: start one now."""
    REPLACE = "replace"
    """Start a successor, which takes its place; it becomes the predecessor and serves on."""
    RETIRE = "retire"
    """Ask the predecessor to leave for good."""
    DISMISS = "dismiss"
    """Give the place back to the predecessor, and ask the successor to leave for good."""


class Stage(enum.Enum):
    """How far the child is whose turn it is."""

    BEFORE = "waiting"
    LEAVING = "draining"
    ARRIVING = "starting"


@dataclass(frozen=True, slots=True)
class Standing:
    """How one child is.

    Attributes:
        name: What it is called.
        policy: Of the process in its place.
        linked: Whether those it must talk to have a link to it.
        predecessor: Whether there is still a process that it was started to replace.
        ended: How the process in its place last ended, as a sentence; empty where none did.
    """

    name: str
    policy: RestartPolicy
    linked: bool
    predecessor: bool = False
    ended: str = ""


@dataclass(frozen=True, slots=True)
class Do:
    """One step: what to do, and with which of the children."""

    act: Act
    is_gateway: bool
    index: int


class RollOrder:
    """Leads a fleet through one rolling restart.

    Attributes:
        failure: Why it ended early, as one sentence; empty while all goes well.
        stage: How far the child is whose turn it is.
        done: How many children have been renewed.
        total: How many there are.
    """

    def __init__(self, workers: int, gateways: int, now: float) -> None:
        """Begin with the first worker."""
        self.failure = ""
        self.stage = Stage.BEFORE
        self.done = 0
        self.total = workers + gateways
        self._workers = workers
        self._wait_until = now + limits.ROLL_WAIT_MAX_S
        self._starts_before = 0

    @property
    def is_over(self) -> bool:
        """Whether all were renewed, or it failed."""
        return bool(self.failure) or self.done == self.total

    def fail(self, sentence: str) -> None:
        """End it because of something the shell saw."""
        self.failure = self.failure or sentence

    def look(self, now: float, workers: Sequence[Standing], gateways: Sequence[Standing]) -> list[Do]:
        """Say what is to be done now; do it, and look again until nothing is left to do."""
        while not self.is_over:
            before = (self.done, self.stage)
            is_gateway = self.done >= self._workers
            index = self.done - self._workers if is_gateway else self.done
            turn = (gateways if is_gateway else workers)[index]
            if self.stage is Stage.BEFORE:
                act = self._begin(now, turn, [*workers[:index], *workers[index + 1 :]], is_gateway=is_gateway)
            elif self.stage is Stage.LEAVING:
                act = None
                self._leaving(now, turn, is_gateway=is_gateway)
            else:
                act = self._arriving(now, turn)
            if act is not None:
                return [Do(act, is_gateway, index)]
            if before == (self.done, self.stage):
                break
        return []

    def next_wake(self) -> float | None:
        """Say when `look` may have something new to say if nothing happens."""
        return None if self.is_over or self.stage is Stage.LEAVING else self._wait_until

    def _begin(
        self, now: float, turn: Standing, others: Sequence[Standing], *, is_gateway: bool
    ) -> Act | None:
        policy = turn.policy
        if not is_gateway and (away := _first_away(others)) is not None:
            return self._wait(now, f"{away.name} is not serving, and {turn.name} must not go as well")
        if policy.phase in {Phase.WAITING, Phase.GIVEN_UP}:
            return self._enter(Stage.ARRIVING, now, policy.starts, Act.RENEW)
        if policy.phase in {Phase.STARTING, Phase.READY}:
            if is_gateway:
                return self._enter(Stage.ARRIVING, now, 0, Act.REPLACE)
            return self._enter(Stage.LEAVING, now, policy.starts, Act.DRAIN)
        return self._wait(now, f"{turn.name} does not end")

    def _leaving(self, now: float, turn: Standing, *, is_gateway: bool) -> None:
        policy = turn.policy
        if is_gateway:
            if not turn.predecessor:
                self._next(now)
        elif policy.phase is Phase.KILLED and policy.starts == self._starts_before:
            self.fail(f"{turn.name} {policy.reason} and was killed")
        elif policy.phase is not Phase.LEAVING:
            self._enter(Stage.ARRIVING, now, self._starts_before)

    def _arriving(self, now: float, turn: Standing) -> Act | None:
        policy = turn.policy
        if policy.phase is Phase.READY:
            if turn.linked:
                if turn.predecessor:
                    return self._enter(Stage.LEAVING, now, 0, Act.RETIRE)
                self._next(now)
                return None
            return self._wait(now, f"the new {turn.name} has no links", turn)
        started = policy.starts > self._starts_before
        if started and policy.phase is not Phase.STARTING:
            why = f": {turn.ended}" if turn.ended else ""
            return self._failed(f"the new {turn.name} did not become ready{why}", turn)
        return self._wait(now, f"the new {turn.name} is not ready", turn)

    def _wait(self, now: float, what: str, arriving: Standing | None = None) -> Act | None:
        if now < self._wait_until:
            return None
        return self._failed(f"{what} after {limits.ROLL_WAIT_MAX_S:g} s", arriving)

    def _failed(self, sentence: str, arriving: Standing | None) -> Act | None:
        self.fail(sentence)
        return Act.DISMISS if arriving is not None and arriving.predecessor else None

    def _next(self, now: float) -> None:
        self.done += 1
        self._enter(Stage.BEFORE, now, 0)

    def _enter(self, stage: Stage, now: float, starts_before: int, act: Act | None = None) -> Act | None:
        self.stage, self._starts_before = stage, starts_before
        self._wait_until = now + limits.ROLL_WAIT_MAX_S
        return act


def _first_away(workers: Sequence[Standing]) -> Standing | None:
    """The first that neither serves nor was given up."""
    return next(
        (
            worker
            for worker in workers
            if worker.policy.phase is not Phase.GIVEN_UP
            and not (worker.policy.phase is Phase.READY and worker.linked)
        ),
        None,
    )
