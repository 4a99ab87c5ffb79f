"""Which worker a request for one model goes to, and which keys of that model are where.

A key in flight is followed to its worker; any other key goes home (its owner on the ring) unless the home is
not able, out of credit, refused by its breaker or overloaded: then it goes to the first in ring order that is
none of these, and to an overloaded one rather than to none.

Bounded load is that of Mirrokni, Thorup and Zadimoghaddam, "Consistent Hashing with Bounded Loads" (2017),
with a floor below which nothing is spilled, so that a light load keeps perfect affinity. Loads are those of
`loads`: of all a worker's models together. Compared are the workers that carry this one.
"""

from __future__ import annotations

import enum
from itertools import pairwise
from typing import TYPE_CHECKING

from ringserve.core.breaker import BreakerState
from ringserve.core.router.fleet import no_worker
from ringserve.core.router.worker_state import KeyFlight, WorkerState
from ringserve.errors import Draining, ModelGone, QueueFull

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ringserve.core.call import Call
    from ringserve.core.ring import Ring
    from ringserve.core.router.loads import Loads
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
    """Chooses workers for the requests for one model.

    Attributes:
        spec: The model.
        workers: Those that have it, and those of which nobody knows yet: the members of its ring, in order.
    """

    __slots__ = (
        "_everyone",
        "_flights",
        "_floor",
        "_loads",
        "_new_ring",
        "_numbers",
        "_owner",
        "_reload",
        "_ring",
        "spec",
        "workers",
    )

    def __init__(self, spec: ModelSpec, loads: Loads) -> None:
        """Begin with nothing in flight; `place` says on whom."""
        self.spec = spec
        self.workers: Sequence[WorkerState] = ()
        self._loads = loads
        self._reload = loads.reload
        self._numbers: list[int] = []
        self._flights: dict[bytes, KeyFlight] = {}
        self._floor = max(LOAD_FLOOR, spec.max_batch)
        self._everyone = False

    def place(self, workers: Sequence[WorkerState], numbers: list[int], new_ring: Callable[[], Ring]) -> None:
        """Say who has the model.

        Args:
            workers: As the attribute of that name.
            numbers: By index of the worker, what each calls the model; 0 where it has it not.
            new_ring: Makes the ring of these workers, when the first request needs it.
        """
        lost = {index for index, number in enumerate(self._numbers) if number and not numbers[index]}
        if lost:
            self._follow_no_more(lost)
        self.workers = workers
        self._numbers = numbers
        self._new_ring = new_ring
        self._ring: Ring | None = None
        self._owner = self._first_owner

    def recount(self) -> None:
        """Work out again whether the fleet's able workers all have the model."""
        self._everyone = sum(worker.able for worker in self.workers) == self._loads.able_count

    @property
    def ring(self) -> Ring:
        """The ring of `workers`."""
        if self._ring is None:
            self._ring = self._new_ring()
            self._owner = self._ring.owner
        return self._ring

    @property
    def able(self) -> int:
        """How many workers may be sent its requests, their breakers left aside."""
        return sum(worker.able for worker in self.workers)

    def choose(self, call: Call, now: float) -> WorkerState | Nowhere:
        """Find the worker for a call and acquire its breaker's permit, left in `call.permit`.

        Args:
            call: With the workers it was with before in `tried`, and those that refused it in `refusals`.
            now: The time.
        """
        if not call.tried:
            key = call.key
            flight = self._flights.get(key)
            worker = flight.worker if flight is not None else self.workers[self._owner(key)]
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

    def book(self, worker: WorkerState, call: Call, now: float) -> None:
        """Note that the call is with the worker now."""
        call.worker = index = worker.index
        if call.model_number:  # it was elsewhere, or has waited, and its model may have changed meanwhile
            call.taken_for(self.spec)
        call.model_number = self._numbers[index]
        rows = call.signature.rows
        key, flights = call.key, self._flights
        flight = older = flights.get(key)
        if older is not None and older.worker is not worker:
            flight, older = older.at(worker), older.living()
        if flight is None:
            flight = flights[key] = KeyFlight(flights, worker, rows, older)
            worker.items += rows
            self._reload(worker)
            if worker.fullness.rows:
                worker.fullness.sent(call, now)
        flight.calls += 1
        call.key_flight = flight
        worker.in_flight[call.id] = call
        worker.items_out += rows
        worker.bytes_out += len(call.payload)
        worker.requests += 1

    def holders(self) -> list[WorkerState]:
        """The workers that have the model, and a link or not."""
        return [worker for worker in self.workers if self._numbers[worker.index]]

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

    def why_nowhere(self, call: Call, place: Nowhere, now: float) -> ServeError:
        """The answer to a call that goes to no worker, and waits for none."""
        if call.refusals and not isinstance(refusal := call.refusals[-1][2], Draining | ModelGone):
            return refusal
        if place is Nowhere.FULL:
            return self._why_full(call, now)
        return no_worker(self.workers, len(self._loads.workers), self.spec.name, now)

    def _why_full(self, call: Call, now: float) -> ServeError:
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

    def _follow_no_more(self, lost: set[int]) -> None:
        """Forget which keys are with workers that have the model no more; they still answer what they got."""
        for key, flight in list(self._flights.items()):
            one: KeyFlight | None = flight
            chain = []
            while one is not None:
                if one.calls and one.worker.index not in lost:
                    chain.append(one)
                one = one.older
            for newer, older in pairwise([*chain, None]):
                if newer is not None:
                    newer.older = older
            if chain:
                self._flights[key] = chain[0]
            else:
                del self._flights[key]

    def _overloaded(self, worker: WorkerState) -> bool:
        if worker.load < self._floor:
            return False
        loads = self._loads
        if self._everyone:
            return worker.load * loads.able_count > LOAD_FACTOR * loads.able_load
        able = [other.load for other in self.workers if other.able]
        return worker.load * len(able) > LOAD_FACTOR * sum(able)

    def _first_owner(self, key: bytes) -> int:
        """Make the ring for the first request."""
        return self.ring.owner(key)
