"""Which worker a request goes to, and the books of what is where.

A key in flight is followed to its worker; any other key goes home (its owner on the ring) unless the home is
not able, out of credit, refused by its breaker or overloaded: then it goes to the first in ring order that is
none of these, and to an overloaded one rather than to none.

Bounded load is that of Mirrokni, Thorup and Zadimoghaddam, "Consistent Hashing with Bounded Loads" (2017),
with a floor below which nothing is spilled, so that a light load keeps perfect affinity. A worker's load is
the items under distinct keys that this gateway has in flight there, or the queue depth it last reported where
that is more. The sum over able workers is kept up to date, so that a choice costs the same for three workers
as for a thousand.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from ringserve.core.breaker import BreakerState
from ringserve.core.ring import Ring
from ringserve.core.router.fleet_model import served_model
from ringserve.core.router.worker_state import KeyFlight, WorkerState
from ringserve.errors import QueueFull

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringserve.core.call import Call
    from ringserve.core.tensor import ModelSpec
    from ringserve.errors import ServeError

LOAD_FACTOR = 1.25
LOAD_FLOOR = 8
MOVES_MAX = 8


class Nowhere(enum.Enum):
    """Why a request can be sent to no worker now."""

    TRIAL = "trial"
    """The only able workers are half-open with their trial out: its outcome is worth waiting for."""
    FULL = "full"
    """Able workers have granted no more credit."""
    DOWN = "down"
    """No worker is able."""


class Balance:
    """Chooses workers and keeps their load."""

    __slots__ = ("_able_count", "_able_load", "_flights", "_floor", "_owner", "ring", "spec", "workers")

    def __init__(self, workers: Sequence[WorkerState], virtual_nodes: int) -> None:
        """Begin with nothing in flight and nobody able."""
        self.workers = workers
        self.ring = Ring([worker.address for worker in workers], virtual_nodes)
        self.spec: ModelSpec | None = None
        self._owner = self.ring.owner
        self._flights: dict[bytes, KeyFlight] = {}
        self._floor = LOAD_FLOOR
        self._able_count = 0
        self._able_load = 0

    def choose(self, call: Call, now: float) -> WorkerState | Nowhere:
        """Find the worker for a call and acquire its breaker's permit, left in `call.permit`.

        Args:
            call: With the workers it was with before in `tried`, and those that refused it in `refusals`.
            now: The time.
        """
        if not call.tried:
            flight = self._flights.get(call.key)
            worker = flight.worker if flight is not None else self.workers[self._owner(call.key)]
            if worker.able and worker.has_credit_for(call):
                if flight is None and worker.fullness.rows and worker.fullness.refusal_of(call, now):
                    return self._beside(call, now)
                if flight is not None or worker.load < self._floor or not self._overloaded(worker):
                    call.permit = worker.breaker.try_acquire(now)
                    if call.permit:
                        return worker
                    if flight is not None and worker.breaker.state_at(now) is BreakerState.HALF_OPEN:
                        return Nowhere.TRIAL
                else:
                    worker.spilled += 1
        return self.pass_on(call, now)

    def book(self, worker: WorkerState, call: Call) -> None:
        """Note that the call is with the worker now."""
        call.worker = worker.index
        call.model_number = worker.offers[0].number
        rows = call.signature.rows
        older = self._flights.get(call.key)
        flight = older if older is None or older.worker is worker else older.at(worker)
        if flight is None:
            older = None if older is None else older.living()
            flight = self._flights[call.key] = KeyFlight(call.key, worker, rows, older)
            worker.items += rows
            self.reload(worker)
        flight.calls += 1
        call.key_flight = flight
        worker.in_flight[call.id] = call
        worker.items_out += rows
        worker.bytes_out += len(call.payload)
        worker.requests += 1

    def unbook(self, worker: WorkerState, call: Call) -> None:
        """Note that the call, already out of `in_flight`, left the worker."""
        call.worker = -1
        worker.items_out -= call.signature.rows
        worker.bytes_out -= len(call.payload)
        flight = call.key_flight
        call.key_flight = None
        if flight is None:
            return
        flight.calls -= 1
        if flight.calls == 0:
            worker.items -= flight.rows
            self.reload(worker)
            if self._flights.get(flight.key) is flight:
                if flight.older is None:
                    del self._flights[flight.key]
                else:
                    self._forget(flight)

    def reload(self, worker: WorkerState) -> None:
        """Work out a worker's load again after its items or its reported depth changed."""
        load = worker.items if worker.items > worker.depth else worker.depth  # noqa: FURB136 - half the cost of max
        if worker.able:
            self._able_load += load - worker.load
        worker.load = load

    def fleet_changed(self) -> list[WorkerState]:
        """Work out again who is able and which model the fleet serves; returns newly foreign workers."""
        spec = served_model(self.workers, self.spec)
        self.spec = spec if spec is not None else self.spec
        foreign = []
        for worker in self.workers:
            own = worker.spec
            other = own is not None and spec is not None and own.digest != spec.digest
            if other and not worker.foreign:
                foreign.append(worker)
            worker.foreign = other
            worker.able = own is not None and not (worker.going_away or worker.hung or other)
        able = [worker for worker in self.workers if worker.able]
        self._able_count = len(able)
        self._able_load = sum(worker.load for worker in able)
        self._floor = max(LOAD_FLOOR, self.spec.max_batch if self.spec is not None else 0)
        return foreign

    def flights(self) -> int:
        """How many keys are in flight, for checks and metrics."""
        return len(self._flights)

    def pass_on(self, call: Call, now: float) -> WorkerState | Nowhere:
        """Like `choose`, without waiting for the worker that has the call's key."""
        order = [self.workers[index] for index in self.ring.preference(call.key)]
        fresh = [worker for worker in order if worker.able and worker.index not in call.tried]
        place = self._first(fresh, call, now)
        if isinstance(place, WorkerState) or not 0 < len(call.tried) < MOVES_MAX:
            return place
        # Whoever failed it may be well again; whoever refused it is not asked twice.
        refusers = [(index, incarnation) for index, incarnation, _ in call.refusals]
        again = [
            worker
            for worker in order
            if worker.able
            and worker.index in call.tried
            and (worker.index, worker.incarnation) not in refusers
        ]
        other = self._first(again, call, now)
        better = isinstance(other, WorkerState) or other is Nowhere.TRIAL or place is Nowhere.DOWN
        return other if better else place

    def why_full(self, call: Call, now: float) -> ServeError:
        """Say why a call found no room, in the words of a worker that refused a moment ago, if one did."""
        home = self.workers[self._owner(call.key)]
        home.fullness.turned_away += 1
        for worker in (home, *self.workers):
            refusal = worker.fullness.refusal_of(call, now) if worker.able else None
            if refusal is not None:
                return refusal
        return QueueFull("every worker that could take the request is full", 1.0)

    def _beside(self, call: Call, now: float) -> WorkerState | Nowhere:
        """Pass on a call whose home is full; where all are, at the least cost."""
        if all(worker.fullness.refusal_of(call, now) for worker in self.workers if worker.able):
            return Nowhere.FULL
        return self.pass_on(call, now)

    def _first(self, able: list[WorkerState], call: Call, now: float) -> WorkerState | Nowhere:
        """The first of these that takes the call, those above the bound last."""
        granted = [
            worker
            for worker in able
            if worker.has_credit_for(call) and worker.fullness.refusal_of(call, now) is None
        ]
        granted.sort(key=self._overloaded)
        for worker in granted:
            call.permit = worker.breaker.try_acquire(now)
            if call.permit:
                return worker
        if any(worker.breaker.state_at(now) is BreakerState.HALF_OPEN for worker in granted):
            return Nowhere.TRIAL
        if any(worker.breaker.state_at(now) is not BreakerState.OPEN for worker in able):
            return Nowhere.FULL
        return Nowhere.DOWN

    def _forget(self, flight: KeyFlight) -> None:
        """Take a key out of the table, or put in its place the worker that still has it."""
        older = flight.living()
        if older is None:
            del self._flights[flight.key]
        else:
            self._flights[flight.key] = older

    def _overloaded(self, worker: WorkerState) -> bool:
        return worker.load >= self._floor and worker.load * self._able_count > LOAD_FACTOR * self._able_load
