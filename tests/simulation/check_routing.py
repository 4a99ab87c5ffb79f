"""Where requests may go, and where they must."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringserve.core.breaker import BreakerState
from ringserve.core.call import Call
from ringserve.core.ring import Ring
from ringserve.core.router.worker_state import WorkerState
from ringserve.errors import ServeError
from tests.simulation.full_workers import FullWorkers
from tests.simulation.meant import best, has, is_with, sent_for
from tests.simulation.watch import Watcher, demand

if TYPE_CHECKING:
    from tests.simulation.process import GatewayProcess
    from tests.simulation.world import World

FLOOR = 8
FACTOR = 1.25


class OnlyToTheAble(Watcher):
    """Nothing goes to an OPEN breaker, a link that is down, a worker that leaves, hangs or is foreign."""

    def sent(self, gateway: GatewayProcess, index: int, call: Call) -> None:
        worker = gateway.router.workers[index]
        demand(worker.breaker.state_at(gateway.now) is not BreakerState.OPEN, "sent to an open breaker")
        demand(worker.link_up, "sent to a worker without a link")
        demand(not worker.going_away, "sent to a worker that goes away")
        demand(not worker.hung, "sent to a worker that is hung")
        instance = sent_for(worker, call)
        demand(instance is not None, "sent to a worker that has not the model")
        meant = best(gateway.router.workers, call.signature.model, call.signature.version)
        demand(instance in meant, "sent to a worker with another model")


class FollowsItsKey(Watcher):
    """A new request goes where its key is in flight, as long as that worker may take work."""

    def sent(self, gateway: GatewayProcess, index: int, call: Call) -> None:
        if call.tried:
            return
        waits = len(gateway.router._parked) < gateway.router.settings.parked_max
        instance = sent_for(gateway.router.workers[index], call)
        where = [worker for worker in gateway.router.workers if is_with(worker, call, instance)]
        # A key is on several workers only after calls of it were moved; then the latest counts.
        if len(where) == 1 and where[0].index != index:
            for worker in where:
                breaker = worker.breaker
                follows = (
                    worker.able
                    and has(worker, instance)
                    and breaker.state_at(gateway.now) is not BreakerState.OPEN
                    and (waits or breaker.may_acquire(gateway.now))
                    and worker.has_credit_for(call)
                )
                demand(not follows, f"left its key, which is in flight on worker {worker.index + 1}")


class NoNeedlessMove(Watcher):
    """A request goes to the first worker in ring order, unless there is a reason to pass that one by."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        fleet = world.plan.fleet
        self.ring = Ring(fleet.addresses, fleet.gateway.virtual_nodes)
        self.floor = max(FLOOR, fleet.worker.max_batch)
        self.refusers: dict[Call, list[tuple[int, str]]] = {}
        self.full = FullWorkers()

    def refused(self, gateway: GatewayProcess, index: int, call: Call | None, error: ServeError) -> None:
        self.full.refused(gateway, index, call, error)
        if call is not None:
            self.refusers.setdefault(call, []).append((index, gateway.router.workers[index].incarnation))

    def sent(self, gateway: GatewayProcess, index: int, call: Call) -> None:
        self.full.sent(gateway, index)
        workers = gateway.router.workers
        instance = sent_for(workers[index], call)
        if is_with(workers[index], call, instance):
            return
        # Who failed it may be asked again when nobody else is left; who refused it, never.
        again = index in call.tried
        passed_by = () if again else call.tried
        refusers = self.refusers.get(call, [])
        for first in self.ring.preference(call.key):
            if first == index:
                return
            worker = workers[first]
            reason = (
                not worker.able
                or not has(worker, instance)
                or first in passed_by
                or (first, worker.incarnation) in refusers
                or not worker.has_credit_for(call)
                or not worker.breaker.may_acquire(gateway.now)
                or self._overloaded(
                    worker, [one for one in workers if has(one, instance)], call.signature.rows
                )
                or self.full.may_be_full(gateway, first)
            )
            demand(reason, f"passed by worker {first + 1} without a reason")

    def _overloaded(self, worker: WorkerState, workers: list[WorkerState], booked: int) -> bool:
        able = [one.load for one in workers if one.able]
        return worker.load >= self.floor and worker.load * len(able) > FACTOR * (sum(able) - booked)


class LoadIsBounded(Watcher):
    """No new key goes to a worker above the bound while another that may take it is below."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        fleet = world.plan.fleet
        self.floor = max(FLOOR, fleet.worker.max_batch)

    def sent(self, gateway: GatewayProcess, index: int, call: Call) -> None:
        workers = gateway.router.workers
        worker, rows = workers[index], call.signature.rows
        before = worker.load - rows
        if before < self.floor or call.tried:
            return
        instance = sent_for(worker, call)
        if any(is_with(one, call, instance) for one in workers):
            return
        able = [one for one in workers if one.able and has(one, instance)]
        mean = (sum(one.load for one in able) - rows) / len(able)
        if before > FACTOR * mean:
            for other in able:
                could = (
                    other.load < self.floor
                    and other.has_credit_for(call)
                    and other.breaker.may_acquire(gateway.now)
                    and not other.fullness.refusal_of(call, gateway.now)
                )
                demand(not could, f"worker {index + 1} is overloaded, worker {other.index + 1} is not")


class SilenceIsSeen(Watcher):
    """A link that gives no sign of life is given up in time, unless it was the gateway that slept."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.given_up: set[GatewayProcess] = set()

    def gave_up(self, gateway: GatewayProcess, index: int) -> None:
        self.given_up.add(gateway)

    def ticked(self, gateway: GatewayProcess, after_s: float) -> None:
        hang_timeout_s = gateway.router.settings.hang_timeout_s
        if after_s > hang_timeout_s / 2:
            demand(gateway not in self.given_up, "a gateway took its own sleep for a worker's silence")
        self.given_up.discard(gateway)
        for worker in gateway.router.workers:
            silent_s = gateway.now - worker.heard_at
            if worker.link_up and silent_s > hang_timeout_s:
                demand(False, f"worker {worker.index + 1} has been silent for {silent_s:.2f} s")
