"""The load of every worker, whichever models it carries, and who may be sent anything.

A worker's load is the items under distinct keys that this gateway has in flight there, or the queue depth it
last reported where that is more. The sum over able workers is kept up to date, so that a choice costs the
same for three workers as for a thousand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringserve.core.call import Call
    from ringserve.core.router.worker_state import KeyFlight, WorkerState
    from ringserve.core.signature import Key


class Loads:
    """Keeps each worker's load, and the sum over the able ones.

    Attributes:
        workers: All that the gateway was given.
        able_count: How many are able.
        able_load: Their load together.
    """

    __slots__ = ("able_count", "able_load", "workers")

    def __init__(self, workers: Sequence[WorkerState]) -> None:
        """Begin with nobody able."""
        self.workers = workers
        self.able_count = 0
        self.able_load = 0

    def reload(self, worker: WorkerState) -> None:
        """Work out a worker's load again after its items or its reported depth changed."""
        load = worker.items if worker.items > worker.depth else worker.depth  # noqa: FURB136 - half the cost of max
        if worker.able:
            self.able_load += load - worker.load
        worker.load = load

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
            items = worker.items = worker.items - flight.rows
            load = items if items > worker.depth else worker.depth  # noqa: FURB136 - `reload`, without its call
            if worker.able:
                self.able_load += load - worker.load
            worker.load = load
            table = flight.table
            if table.get(call.key) is flight:
                if flight.older is None:
                    del table[call.key]
                else:
                    self._forget(call.key, flight)

    def recount(self) -> None:
        """Work out again who is able."""
        for worker in self.workers:
            worker.able = worker.link_up and not (worker.going_away or worker.hung)
        able = [worker for worker in self.workers if worker.able]
        self.able_count = len(able)
        self.able_load = sum(worker.load for worker in able)

    def _forget(self, key: Key, flight: KeyFlight) -> None:
        """Take a key out of its table, or put in its place the worker that still has it."""
        older = flight.living()
        if older is None:
            del flight.table[key]
        else:
            flight.table[key] = older
