"""The router: every decision about a request between its arrival and its answer.

Theory of operation. A call is in exactly one place: with a worker (`in_flight` of that worker), parked (no
worker may take it before a half-open trial ends) or held (see `failover`). Each event moves calls between
those places or out::

    submit ─▶ route ─┬─▶ with a worker ─┬─ answered / refused for good ─▶ answer, fail
                     ├─▶ parked ─▶ route │
                     └─▶ fail            ├─ refused, may be repeated ───▶ route
                                         ├─ link lost, hung ─▶ judge ───▶ route, held, fail
                                         └─ deadline, cancel ──────────▶ fail, gone

Which model a request means stands in `models`, which worker is chosen, and why, in `balance`.

The router has no clock: every method takes `now`. `tick` is to be called at `next_wake`. Nothing here
blocks, and effects go through the injected `Ports`. `accepted == finished + pending` at every moment.

(Over 300 lines because all that moves a call between its places must stand together.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringserve.core.deadlines import DeadlineSweep
from ringserve.core.failures import Failures
from ringserve.core.histogram import LATENCY_BOUNDS_S, Histogram
from ringserve.core.retry_budget import RetryBudget
from ringserve.core.router import failover
from ringserve.core.router.balance import Nowhere
from ringserve.core.router.failover import Verdict
from ringserve.core.router.fleet import describe_namesakes, namesakes
from ringserve.core.router.loads import Loads
from ringserve.core.router.models import Models
from ringserve.core.router.statistics import RouterStatistics, statistics_of
from ringserve.core.router.worker_state import WorkerState, workers_of
from ringserve.errors import DeadlinePassed, Draining, ModelGone, QueueFull, ServeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ringserve.core.call import Call
    from ringserve.core.router.ports import Ports
    from ringserve.core.router.settings import RouterSettings
    from ringserve.core.router.worker_state import Hello, Offer, Unready
    from ringserve.core.signature import Result

_TRIAL = Nowhere.TRIAL

ID_MASK = 0x7FFFFFFF
"""Numbers on the link are 32 bits wide and never 0."""


class Router:
    """Routes calls to workers and back."""

    def __init__(self, addresses: Sequence[str], settings: RouterSettings, ports: Ports) -> None:
        """Begin with no link up.

        Args:
            addresses: The workers as typed, in the order given.
            settings: Thresholds and time-outs.
            ports: Effects.
        """
        self.settings = settings
        self.workers = workers_of(addresses, settings)
        self.loads = Loads(self.workers)
        self.models = Models(self.workers, settings.virtual_nodes, self.loads)
        self.budget = RetryBudget()
        self.accepted = 0
        self.finished = 0
        self.failures = Failures()
        self.cancelled = 0
        self.latency = Histogram(LATENCY_BOUNDS_S)
        self.late = 0
        self.moved = 0
        self._ports = ports
        self._places = self.models.places
        self._parked: dict[Call, None] = {}
        self._held: dict[Call, float] = {}
        self._sweep = DeadlineSweep()
        self._last_id = 0
        self._ticked_at: float | None = None

    # Requests

    def submit(self, call: Call, now: float) -> None:
        """Accept a call: it is sent, parked or failed."""
        self.accepted += 1
        self.budget.record_request(now)
        if call.deadline < self._sweep.earliest:
            self._sweep.note(call.deadline)
        self._route(call, now)

    def answered(
        self, index: int, call_id: int, result: Result, cached: bool, time_us: int, now: float
    ) -> None:
        """A worker answered; an answer to a call that moved on or ended is dropped."""
        worker = self.workers[index]
        call = worker.in_flight.pop(call_id, None)
        if call is None:
            self.late += 1
            return
        worker.breaker.succeed(call.permit, now)
        self.loads.unbook(worker, call)
        if not cached:
            worker.fullness.answered(call.key)
        self.finished += 1
        self.latency.observe(now - call.received_at)
        call.answer(result, worker.node_id, cached, time_us)
        if worker.going_away and not worker.in_flight:
            self._ports.goodbye(index)
        if self._parked:
            self._route_parked(now)

    def refused(self, index: int, call_id: int, error: ServeError, now: float) -> None:
        """A worker answered with an error: repeat it elsewhere where that may help, or pass it on."""
        worker = self.workers[index]
        call = worker.in_flight.pop(call_id, None)
        if call is None:
            self.late += 1
            return
        if isinstance(error, Draining | DeadlinePassed):
            worker.breaker.release(call.permit, now)
        else:
            worker.breaker.succeed(call.permit, now)
        self.loads.unbook(worker, call)
        worker.fullness.refused(call.signature, worker.depth, error, now)
        gone = isinstance(error, ModelGone)
        call.tried += () if gone else (index,)
        free = isinstance(error, Draining) or (gone and len(call.refusals) < failover.REROUTES_MAX)
        if error.retry_elsewhere and (free or self.budget.try_spend(now)):
            self.moved += 1
            # Where the model is gone nobody has refused: that worker may take the call under a newer version.
            call.refusals += ((-1 if gone else index, worker.incarnation, error),)
            self._route(call, now)
        else:
            self._fail(call, error)
        if worker.going_away and not worker.in_flight:
            self._ports.goodbye(index)
        self._route_parked(now)

    def cancel(self, call: Call, now: float) -> None:
        """The caller left. A call that ended already is no error."""
        if self._take_back(call, now):
            self.finished += 1
            self.cancelled += 1
            self._route_parked(now)

    def fail_all(self, error: ServeError, now: float) -> None:
        """Fail every pending call, as at the end of a drain."""
        for call in list(self._pending_calls()):
            self._take_back(call, now)
            self._fail(call, error)

    @property
    def pending(self) -> int:
        """Calls without an answer."""
        return len(self._parked) + len(self._held) + sum(len(worker.in_flight) for worker in self.workers)

    def statistics(self, now: float) -> RouterStatistics:
        """What it counts and what is where now, for those who watch it."""
        return statistics_of(self, len(self._parked), len(self._held), now)

    # Links

    def link_up(self, index: int, hello: Hello, now: float) -> None:
        """A worker greeted us."""
        worker = self.workers[index]
        if worker.incarnation != hello.incarnation:
            worker.breaker.new_incarnation(now)
        worker.greet(hello, now)
        for other in namesakes(self.workers, worker):
            self._ports.say(describe_namesakes(other, worker))
        self._fleet_changed()
        self._judge_held(now, patience=True)
        self._route_parked(now)

    def link_lost(self, index: int, now: float) -> None:
        """An established link closed: one failure, unless the worker said that it goes away."""
        self._lost(self.workers[index], now, maybe_died=not self.workers[index].going_away)

    def connect_failed(self, index: int, now: float, *, refused: bool) -> None:
        """A connection could not be made.

        Args:
            index: The worker.
            now: The time.
            refused: Whether nobody listens there, rather than somebody who does not greet (yet).
        """
        worker = self.workers[index]
        worker.gone = worker.gone or refused
        if not worker.going_away:
            worker.breaker.fail_unpermitted(now)
        self._judge_held(now, patience=True)
        self._route_parked(now)

    def going_away(self, index: int, now: float) -> None:
        """A worker drains: it gets nothing new, and what it has it answers."""
        worker = self.workers[index]
        worker.going_away = True
        self._fleet_changed()
        if not worker.in_flight:
            self._ports.goodbye(index)
        self._route_parked(now)

    def models_changed(
        self, index: int, offers: tuple[Offer, ...], unready: tuple[Unready, ...], now: float
    ) -> None:
        """A worker says anew which models it has."""
        worker = self.workers[index]
        worker.offers = offers
        worker.unready = unready
        self._fleet_changed()
        self._route_parked(now)

    def heard(self, index: int, now: float) -> None:
        """Bytes came in on this link, whatever they were."""
        self.workers[index].heard_at = now

    def depth(self, index: int, depth: int) -> None:
        """A worker reported how many rows wait there."""
        worker = self.workers[index]
        worker.depth = depth
        worker.fullness.reported(depth)
        self.loads.reload(worker)

    def pong(
        self, index: int, run_age_s: float, slowest_run_s: float, runs_finished: int, now: float
    ) -> None:
        """A worker's sign of life: the age of its oldest run tells a hung engine from a busy one."""
        worker = self.workers[index]
        worker.runs_finished = runs_finished
        hung = run_age_s > worker.run_limit_s(slowest_run_s, self.settings.hang_timeout_s)
        if hung == worker.hung:
            return
        worker.hung = hung
        self.models.recount()
        if hung:
            self._ports.say(f"worker {worker.address} is hung: one run has lasted {run_age_s:.1f} s")
            calls = self._unload(worker, now)
            for call in calls:
                self._ports.cancel_on(index, call.id)
            worker.breaker.fail_unpermitted(now)
            self._move(calls, now)
            if worker.going_away:
                self._ports.goodbye(index)
        self._route_parked(now)

    # Time

    def tick(self, now: float) -> None:
        """Expire, ping, give up silent links. Call at `next_wake` or later."""
        asleep = self._ticked_at is not None and now - self._ticked_at > self.settings.hang_timeout_s / 2
        self._ticked_at = now
        if self._sweep.due(now):
            for call in self._sweep.sweep(self._pending_calls(), now):
                self._expire(call, now)
        for worker in self.workers:
            if worker.link_up:
                self._check_link(worker, now, asleep=asleep)
        self._judge_held(now, patience=True)
        self._route_parked(now)

    def next_wake(self, now: float) -> float:
        """When `tick` is due, in seconds of the brain's clock."""
        wake = now + self.settings.hang_timeout_s / 8
        late = self._sweep.next_wake()
        return wake if late is None else min(wake, late)

    # Routing

    def _route(self, call: Call, now: float) -> None:
        balance = self._places.get(call.signature)
        if balance is None and (balance := self.models.find(call.signature)) is None:
            self._fail(call, self.models.why_none(call.signature.model, call.signature.version))
            return
        worker = balance.choose(call, now)
        if worker is _TRIAL and len(self._parked) >= self.settings.parked_max:
            # Better with any worker than refused: the place to wait in is full.
            worker = balance.pass_on(call, now)
        if isinstance(worker, WorkerState):
            self._last_id = call.id = (self._last_id & ID_MASK) + 1
            balance.book(worker, call, now)
            self._ports.send(worker.index, call)
        elif worker is _TRIAL:
            self._park(call)
        else:
            self._fail(call, balance.why_nowhere(call, worker, now))

    def _park(self, call: Call) -> None:
        if len(self._parked) >= self.settings.parked_max:
            self._fail(call, QueueFull("too many requests wait for a worker to prove itself", 1.0))
        else:
            self._parked[call] = None
            call.model_number = call.model_number or -1

    def _route_parked(self, now: float) -> None:
        if not self._parked:
            return
        parked, self._parked = self._parked, {}
        for call in parked:
            self._route(call, now)

    # Failure

    def _lost(self, worker: WorkerState, now: float, *, maybe_died: bool) -> None:
        incarnation = worker.incarnation
        was_leaving = worker.going_away
        worker.link_up = False
        worker.depth = 0
        self.loads.reload(worker)
        self._fleet_changed()
        calls = self._unload(worker, now)
        if not was_leaving:
            worker.breaker.fail_unpermitted(now)
        if maybe_died:
            suspect = (worker.index, incarnation)
            for call in calls:
                if suspect not in call.suspects:  # a process can die but once
                    call.suspects += (suspect,)
        self._move(calls, now)
        self._route_parked(now)

    def _unload(self, worker: WorkerState, now: float) -> list[Call]:
        """Take all calls off a worker that failed."""
        calls = list(worker.in_flight.values())
        worker.in_flight.clear()
        for call in calls:
            worker.breaker.release(call.permit, now)
            self.loads.unbook(worker, call)
            call.tried += (worker.index,)
        return calls

    def _move(self, calls: list[Call], now: float) -> None:
        """Send stranded calls on, which draws on no budget: they were not refused."""
        for call in calls:
            verdict = failover.judge(call, self.workers, patience=True)
            if verdict is Verdict.CONDEMN:
                self._fail(call, failover.poison())
            elif verdict is Verdict.HOLD:
                self._held[call] = now + failover.HOLD_MAX_S
            else:
                self.moved += 1
                self._route(call, now)

    def _judge_held(self, now: float, *, patience: bool) -> None:
        for call, until in list(self._held.items()):
            verdict = failover.judge(call, self.workers, patience=patience and now < until)
            if verdict is not Verdict.HOLD:
                del self._held[call]
                self._move([call], now) if verdict is Verdict.MOVE else self._fail(call, failover.poison())

    def _check_link(self, worker: WorkerState, now: float, *, asleep: bool) -> None:
        """Give up a silent link, unless it was we who slept; ping one that may be."""
        if asleep:
            worker.heard_at = now
        if now - worker.heard_at > self.settings.hang_timeout_s:
            self._ports.say(f"worker {worker.address} has been silent for {now - worker.heard_at:.1f} s")
            self._lost(worker, now, maybe_died=False)
            self._ports.disconnect(worker.index)
        elif now - worker.pinged_at >= self.settings.hang_timeout_s / 4:
            worker.pinged_at = now
            self._ports.ping(worker.index)

    def _expire(self, call: Call, now: float) -> None:
        limit_ms = (call.deadline - call.received_at) * 1000
        self._take_back(call, now)
        self._fail(call, DeadlinePassed(f"no answer within the {limit_ms:.0f} ms the request had"))

    def _take_back(self, call: Call, now: float) -> bool:
        """Remove a pending call from wherever it is; False if it is nowhere."""
        if call.worker >= 0:
            worker = self.workers[call.worker]
            del worker.in_flight[call.id]
            worker.breaker.release(call.permit, now)
            self.loads.unbook(worker, call)
            self._ports.cancel_on(worker.index, call.id)
            if worker.going_away and not worker.in_flight:
                self._ports.goodbye(worker.index)
            return True
        if call in self._parked:
            del self._parked[call]
            return True
        return self._held.pop(call, None) is not None

    def _fail(self, call: Call, error: ServeError) -> None:
        self.finished += 1
        self.failures.count(error)
        call.fail(error)

    def _pending_calls(self) -> Iterator[Call]:
        for worker in self.workers:
            yield from list(worker.in_flight.values())
        yield from list(self._parked)
        yield from list(self._held)

    def _fleet_changed(self) -> None:
        for sentence in self.models.refresh():
            self._ports.say(sentence)
