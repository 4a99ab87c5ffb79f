"""Limits: credit, queues, retries, and how many workers one request may kill."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from ringserve.core.call import Call
from ringserve.errors import Draining, ModelGone, ServeError
from tests.simulation.model import ROWS_MAX
from tests.simulation.watch import Watcher, demand

if TYPE_CHECKING:
    from tests.simulation.network import End
    from tests.simulation.process import GatewayProcess, WorkerProcess
    from tests.simulation.workload import Caller
    from tests.simulation.world import World

WINDOW_S = 10.0
KILLS_MAX = 2


class CreditHolds(Watcher):
    """No worker has more of a gateway's items or bytes than it granted; one that is larger goes alone."""

    def sent(self, gateway: GatewayProcess, index: int, call: Call) -> None:
        worker = gateway.router.workers[index]
        calls = list(worker.in_flight.values())
        assert worker.hello is not None
        items = sum(one.signature.rows for one in calls)
        size = sum(len(one.payload) for one in calls)
        demand(items <= worker.hello.credit_items or len(calls) == 1, "more items than the worker granted")
        demand(size <= worker.hello.credit_bytes or len(calls) == 1, "more bytes than the worker granted")


class QueuesHold(Watcher):
    """A node's queue and a router's parked requests stay within their limits."""

    def after_worker(self, worker: WorkerProcess) -> None:
        for node in worker.nodes:
            longest = max(node.admission.max_queue, ROWS_MAX)  # an empty queue takes a request of any size
            if node._batcher.depth > longest:
                demand(False, f"{node._batcher.depth} items wait, {longest} may")

    def after_gateway(self, gateway: GatewayProcess) -> None:
        router = gateway.router
        demand(len(router._parked) <= self.world.plan.fleet.parked_max, "too many requests wait for a trial")


class RetryBudgetHolds(Watcher):
    """Repeats after refusals are a share of the requests, and a little more."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.requests: dict[GatewayProcess, deque[float]] = {}
        self.repeats: dict[GatewayProcess, deque[float]] = {}
        self.last: dict[Call, ServeError] = {}

    def submitted(self, gateway: GatewayProcess, caller: Caller) -> None:
        self.requests.setdefault(gateway, deque()).append(gateway.now)

    def refused(self, gateway: GatewayProcess, index: int, call: Call | None, error: ServeError) -> None:
        if call is not None:
            self.last[call] = error

    def moved(self, gateway: GatewayProcess, call: Call) -> None:
        if isinstance(self.last[call], Draining | ModelGone):
            return
        now, slot_s = gateway.now, WINDOW_S / 10
        repeats = self.repeats.setdefault(gateway, deque())
        repeats.append(now)
        requests = self.requests.setdefault(gateway, deque())
        while requests and requests[0] < now - WINDOW_S:
            requests.popleft()
        # The budget's window slides by slots: it is surely over what lies nine of them back.
        while repeats and repeats[0] < now - WINDOW_S + slot_s:
            repeats.popleft()
        ratio, per_s = self.world.plan.fleet.budget
        allowed = per_s * WINDOW_S + ratio * len(requests)
        demand(len(repeats) <= allowed, f"{len(repeats)} repeats, the budget gives {allowed:.1f}")


class NobodyKillsThree(Watcher):
    """No request is in flight on more than two workers that die.

    Only deaths that a gateway can see count: one that is asleep, or behind a path that is dead, learns from
    silence alone, which is no death; and a worker that drains is expected to end.
    """

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.kills: dict[Call, int] = {}

    def died(self, worker: WorkerProcess) -> None:
        if worker.leaving or not worker.serves:
            return
        for link in worker.shell.links:
            end: End = link._transport  # type: ignore[assignment]
            gateway, path = end.peer.owner, end.connection.path
            blind = max(path.heals_at.values()) > self.world.clock.now or gateway.frozen or not gateway.alive
            if blind or end.closing or end.peer.closing or end.connection.is_cut:
                continue
            router = gateway.router  # type: ignore[attr-defined]
            for call_id in link.calls:
                call = router.workers[worker.index].in_flight.get(call_id)
                if call is not None:
                    self.kills[call] = self.kills.get(call, 0) + 1
                    demand(self.kills[call] <= KILLS_MAX, "a request was on three workers that died")
