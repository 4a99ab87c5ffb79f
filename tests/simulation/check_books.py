"""Books that balance at every step, and tables that are empty when all is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.meant import sent_for
from tests.simulation.watch import Watcher, demand

if TYPE_CHECKING:
    from ringserve.core.router.worker_state import WorkerState
    from tests.simulation.process import GatewayProcess, WorkerProcess

EVERY = 16
"""A walk over a table is made after each so many events; the sums are compared after every one."""


class BooksBalance(Watcher):
    """Every accepted request is finished or in exactly one place, in routers and in nodes."""

    def after_gateway(self, gateway: GatewayProcess) -> None:
        router = gateway.router
        demand(router.accepted == router.finished + router.pending, "accepted != finished + pending")
        if self.world.clock.events % EVERY == 0:
            self._count(gateway)

    def _count(self, gateway: GatewayProcess) -> None:
        router = gateway.router
        for worker in router.workers:
            calls = worker.in_flight.values()
            demand(worker.items == _rows_of_distinct_keys(worker), "a worker's items are miscounted")
            demand(worker.items_out == sum(call.signature.rows for call in calls), "rows out are miscounted")
            demand(worker.bytes_out == sum(len(call.payload) for call in calls), "bytes out are miscounted")
            demand(worker.load == max(worker.items, worker.depth), "a load is miscounted")
        able = [worker.load for worker in router.workers if worker.able]
        demand(router.loads.able_load == sum(able), "the sum of loads is miscounted")

    def after_worker(self, worker: WorkerProcess) -> None:
        for node in worker.nodes:
            demand(node.pending >= 0, "more calls finished than accepted")
            if self.world.clock.events % EVERY == 0:
                waiting = [call for flight in node._all_flights() for call in flight.calls]
                demand(len(waiting) == node.pending, f"{node.pending} calls pending, {len(waiting)} wait")
                demand(len(set(map(id, waiting))) == len(waiting), "a call waits in two places")
                depth = sum(flight.rows for flight in node._batcher)
                demand(node._batcher.depth == depth, "the depth is miscounted")
        if self.world.clock.events % EVERY == 0:
            depth = sum(node.depth for node in worker.nodes)
            demand(worker.shell.depth == depth, "the depth of all models is miscounted")


class EmptyWhenQuiet(Watcher):
    """When all is over, no table holds anything."""

    def quiet(self) -> None:
        for gateway in self.world.gateways:
            if gateway is not None:
                self._router_is_empty(gateway)
        for worker in self.world.workers:
            if worker is not None and worker.serves:
                self._worker_is_empty(worker)

    def _router_is_empty(self, gateway: GatewayProcess) -> None:
        router = gateway.router
        demand(router.pending == 0, f"{router.pending} calls are left in a router")
        demand(router.models.flights() == 0, "keys in flight are left in a router")
        for worker in router.workers:
            left = (worker.items, worker.items_out, worker.bytes_out, worker.depth, worker.breaker.permits)
            demand(left == (0, 0, 0, 0, 0), f"a router keeps {left} for worker {worker.index + 1}")

    def _worker_is_empty(self, worker: WorkerProcess) -> None:
        for node in worker.nodes:
            demand(node.pending == 0, f"{node.pending} calls are left in a node")
            demand(len(node._flights) == 0, "flights are left in a node")
            demand(not node.is_running and not node._again, "runs are left in a node")
            demand(node.depth == 0, "a queue is left in a node")
        left = len(worker.nodes) - len(self.world.folders[worker.index])
        demand(left == 0, f"{left} models are left that are offered no more")
        gateways = sum(gateway is not None for gateway in self.world.gateways)
        demand(len(worker.shell.links) <= gateways, f"{len(worker.shell.links)} links are left in a worker")
        demand(not any(link.calls for link in worker.shell.links), "calls are left in a link")


def _rows_of_distinct_keys(worker: WorkerState) -> int:
    """Rows in flight, each key of each instance once; of one that is gone nobody says which it was."""
    calls = [(sent_for(worker, call), call) for call in worker.in_flight.values()]
    known = {(instance, call.key): call for instance, call in calls if instance is not None}
    flights = {id(call.key_flight) for call in known.values()}
    gone = {id(call.key_flight): call for instance, call in calls if instance is None}
    left = [call for flight, call in gone.items() if flight not in flights]
    return sum(call.signature.rows for call in [*known.values(), *left])
