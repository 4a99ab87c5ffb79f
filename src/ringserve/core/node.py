"""The worker's brain, one per loaded model: cache, then single flight, then batcher.

Theory of operation. `submit` answers from the cache, lets the call join a flight of the same key, or
queues a new flight unless admission sheds it; it never runs anything. `flush` cuts batches for the
free run slots and hands each to the injected `run`, which must call `finished` exactly once for it,
now or later. The shell calls `flush` once it has submitted all that it read, so that what arrived
together runs together::

    submit ──hit──▶ answer            flush ──cut──▶ run ──▶ finished ──▶ answer, remember
       ├──join──▶ waits on a flight                              └─ failed, several flights
       └──new───▶ queued ─────────────▲                              └─▶ each again alone

A call of more rows than one run takes is one flight all the same, which runs in slices (see `slices`).
A batch that failed is run again flight by flight, so that only the culprit fails. Each accepted call
leaves by exactly one of answer, failure, deadline and cancellation: `accepted == finished + pending`.
All these ways out stand in one file, which therefore has more than 300 lines.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, cast

from ringserve.core.batcher import Batch, Batcher, CutReason
from ringserve.core.cache import Cache
from ringserve.core.deadlines import DeadlineSweep
from ringserve.core.failures import Failures
from ringserve.core.node_statistics import NodeHistograms, NodeStatistics, statistics_of
from ringserve.core.single_flight import Flight, SingleFlight, expired, leave
from ringserve.core.slices import Whole
from ringserve.core.verification import Verification
from ringserve.errors import DeadlinePassed, ServeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ringserve.core.admission import Admission
    from ringserve.core.call import Call
    from ringserve.core.signature import Key, Result
    from ringserve.core.slices import Slice

RESULT_OVERHEAD_BYTES = 300
"""What an entry of the cache weighs beside its payload: key, result, table slot."""


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """What shapes a node.

    Attributes:
        name: The worker's name, told to callers as `node_id`.
        cacheable: False for a model that draws random numbers: nothing is cached or joined.
        cache_capacity: Answers remembered; 0 turns the cache off.
        cache_bytes_max: Bytes remembered.
        verify_hits: What part of the hits is computed again and compared, see `verification`.
        max_batch: Rows a run; a call of more is run in slices.
        batch_timeout_s: How long a flight may wait for company.
        window: Whether a free slot waits for company.
        slots: Runs at a time.
    """

    name: str
    cacheable: bool = True
    cache_capacity: int = 1000
    cache_bytes_max: int = 256 << 20
    verify_hits: float = 0.0
    max_batch: int = 32
    batch_timeout_s: float = 0.02
    window: bool = False
    slots: int = 1


class Node:
    """Decides what is answered from memory, what runs, when, and together with what."""

    def __init__(self, settings: NodeSettings, admission: Admission, run: Callable[[Batch], None]) -> None:
        """Begin empty.

        Args:
            settings: What shapes it.
            admission: Sheds what would wait too long.
            run: Starts a run of the batch and returns; `finished` must be called for it exactly once.
        """
        self.settings = settings
        self.admission = admission
        self.cache: Cache[Result] = Cache(settings.cache_capacity, settings.cache_bytes_max)
        self.verification = Verification(settings.verify_hits)
        self._run = run
        self._flights = SingleFlight()
        self._batcher = Batcher(settings.max_batch, settings.batch_timeout_s, window=settings.window)
        self._sweep = DeadlineSweep()
        self._again: deque[Flight] = deque()
        self._running: dict[int, Batch] = {}
        self._rows_max = settings.max_batch
        self._free_slots = settings.slots
        self.slowest_run_s = 0.0
        self.accepted = 0
        self.finished_calls = 0
        self.failures = Failures()
        self.cancelled_calls = 0
        self.runs_finished = 0
        self.items_cut = 0
        self.sliced_calls = 0
        self.cuts = dict.fromkeys(CutReason, 0)
        self.histograms = NodeHistograms()

    @property
    def depth(self) -> int:
        """Rows that wait for a run."""
        return self._batcher.depth + sum(flight.rows for flight in self._again)

    @property
    def pending(self) -> int:
        """Calls without an answer."""
        return self.accepted - self.finished_calls

    @property
    def joins(self) -> int:
        """Calls that waited for a flight already going."""
        return self._flights.joins

    def submit(self, call: Call, now: float) -> None:
        """Accept a call: it is answered, failed or queued. Call `flush` when all are submitted."""
        self.accepted += 1
        if self.settings.cacheable:
            known = None if call.fresh else self.cache.get(call.key)
            if known is not None and self.verification.takes(call.key, known) and self._has_room(call, now):
                self.cache.withdraw_hit()
                known = None
            if known is not None:
                self.finished_calls += 1
                took_s = now - call.received_at
                self.histograms.total.observe(took_s)
                call.answer(known, self.settings.name, True, int(took_s * 1e6))
                return
            if self._flights.try_join(call):
                self._watch(call)
                return
        rows = call.signature.rows
        refusal = self.admission.check(self._batcher.depth, rows, now, call.deadline)
        if refusal is not None:
            self.finished_calls += 1
            self.failures.count(refusal)
            call.fail(refusal)
            return
        if rows > self._rows_max:
            flight = self._add_whole(call, now)
        else:
            flight = Flight(call, now)
            self._batcher.add(flight)
        if self.settings.cacheable:
            self._flights.open(flight)
        self._watch(call)

    def flush(self, now: float) -> None:
        """Give the free run slots what there is to run."""
        while self._free_slots > 0:
            batch = self._next_batch(now)
            if batch is None:
                return
            self._free_slots -= 1
            self._running[id(batch)] = batch
            self._run(batch)

    def finished(self, batch: Batch, outcome: Sequence[Result] | ServeError, now: float) -> None:
        """Take a run's outcome: a result for each flight in order, or what went wrong.

        Call `flush` afterwards: a slot is free again.
        """
        del self._running[id(batch)]
        self._free_slots += 1
        self.runs_finished += 1
        run_s = now - batch.started_at
        self.slowest_run_s = max(self.slowest_run_s, run_s)
        self.histograms.run.observe(run_s)
        if isinstance(outcome, ServeError):
            self._failed(batch, outcome)
            return
        self.admission.observe_run(batch.rows, run_s / self.settings.slots, full=batch.full)
        for flight, result in zip(batch.flights, outcome, strict=True):
            if flight.whole is None:
                self._landed(flight, result, now)
            else:
                self._slice_landed(cast("Slice", flight), result, now)

    def cancel(self, call: Call) -> None:
        """Forget a call whose caller left; one that was answered already is no error."""
        if call.flight is not None:
            self.finished_calls += 1
            self.cancelled_calls += 1
            self._leave(call)

    def fail_all(self, error: ServeError) -> None:
        """Fail every call that waits, as at the end of a drain; runs that go on are not answered."""
        for call in [call for flight in self._all_flights() for call in flight.calls]:
            self._fail(call, error)

    def tick(self, now: float) -> None:
        """Fail what is out of time and cut what fell due. Call at `next_wake` or later."""
        if self._sweep.due(now):
            waiting = [call for flight in self._all_flights() for call in flight.calls]
            for call in self._sweep.sweep(waiting, now):
                self._fail(call, _too_late(call))
        self.flush(now)

    def next_wake(self) -> float | None:
        """When `tick` has something to do though nothing arrives; None for never."""
        due = self._batcher.next_wake() if self._free_slots > 0 else None
        late = self._sweep.next_wake()
        if due is None or late is None:
            return due if late is None else late
        return min(due, late)

    @property
    def is_running(self) -> bool:
        """Whether a run goes on."""
        return bool(self._running)

    def oldest_run_s(self, now: float) -> float:
        """The age of the oldest run that goes on, in seconds; 0 while none does."""
        return max((now - batch.started_at for batch in self._running.values()), default=0.0)

    def _has_room(self, call: Call, now: float) -> bool:
        return self.admission.check(self._batcher.depth, call.signature.rows, now, call.deadline) is None

    def _add_whole(self, call: Call, now: float) -> Flight:
        self.sliced_calls += 1
        whole = Whole(call, now)
        self._batcher.add(whole)
        return whole

    def _watch(self, call: Call) -> None:
        if call.deadline < self._sweep.earliest:
            self._sweep.note(call.deadline)

    def _next_batch(self, now: float) -> Batch | None:
        while self._again:
            flight = self._again.popleft()
            if self._drop_expired(flight, now):
                return Batch([flight], flight.rows, CutReason.IDLE, now)
        while True:
            batch = self._batcher.cut(now)
            if batch is None:
                return None
            if any(call.deadline <= now for flight in batch.flights for call in flight.calls):
                batch.keep([flight for flight in batch.flights if self._drop_expired(flight, now)])
            if batch.flights:
                self.cuts[batch.reason] += 1
                self.items_cut += batch.rows
                self.histograms.observe_cut(batch)
                return batch

    def _drop_expired(self, flight: Flight, now: float) -> bool:
        """Fail the flight's calls that are out of time; whether anybody still waits for it."""
        for call in expired([flight], now):
            self._fail(call, _too_late(call))
        if not flight.calls:
            self._flights.close(flight.whole or flight)
        return bool(flight.calls)

    def _landed(self, flight: Flight, result: Result, now: float) -> None:
        if self.settings.cacheable:
            self._flights.close(flight)
            self.verification.landed(flight.key, result)
            self.cache.put(flight.key, result, len(result.payload) + RESULT_OVERHEAD_BYTES)
        name = self.settings.name
        calls = flight.calls
        self.finished_calls += len(calls)
        observe = self.histograms.total.observe
        for call in calls:
            call.flight = None
            took_s = now - call.received_at
            observe(took_s)
            call.answer(result, name, False, int(took_s * 1e6))
        flight.calls = {}

    def _slice_landed(self, part: Slice, result: Result, now: float) -> None:
        outcome = part.whole.place(part, result)
        if isinstance(outcome, ServeError):
            self._fail_flight(part.whole, outcome)
        elif outcome is not None:
            self._landed(part.whole, outcome, now)

    def _failed(self, batch: Batch, error: ServeError) -> None:
        if len(batch.flights) > 1:
            self._again.extend(flight for flight in batch.flights if flight.calls)
            for flight in batch.flights:
                if not flight.calls:
                    self._flights.close(flight.whole or flight)
            return
        (flight,) = batch.flights
        self._fail_flight(flight.whole or flight, error)

    def _fail_flight(self, flight: Flight, error: ServeError) -> None:
        self._flights.close(flight)
        for call in list(flight.calls):
            self._fail(call, error)

    def _fail(self, call: Call, error: ServeError) -> None:
        self.finished_calls += 1
        self.failures.count(error)
        self._leave(call)
        call.fail(error)

    def _leave(self, call: Call) -> None:
        flight = leave(call)
        waiting = flight.waiting() if flight is not None else ()
        if flight is not None and waiting:
            self._flights.close(flight)
            self._batcher.abandon(waiting)

    def _all_flights(self) -> Iterator[Flight]:
        """Walk over what calls may wait for; a whole counts once, for all its slices."""
        wholes: dict[Flight, None] = {}
        running = (flight for batch in self._running.values() for flight in batch.flights)
        for flight in chain(self._batcher, self._again, running):
            if flight.whole is None:
                yield flight
            else:
                wholes[flight.whole] = None
        yield from wholes

    def statistics(self, now: float) -> NodeStatistics:
        """What it counts and what waits and runs now, for those who watch it."""
        again_s = max((now - flight.queued_at for flight in self._again), default=0.0)
        queue_oldest_s = max(self._batcher.statistics(now).oldest_s, again_s)
        pending = sum(len(flight.calls) for flight in self._all_flights())
        running = len(self._running)
        return statistics_of(self, self._flights.statistics(), pending, running, queue_oldest_s, now)

    def waiting_keys(self) -> list[Key]:
        """The keys that may be joined, for checks in tests."""
        return [flight.key for flight in self._all_flights() if flight.calls]


def _too_late(call: Call) -> DeadlinePassed:
    limit_ms = (call.deadline - call.received_at) * 1000
    return DeadlinePassed(f"no answer within the {limit_ms:.0f} ms the request had")
