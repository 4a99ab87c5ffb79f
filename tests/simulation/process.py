"""A simulated worker process: the real node, and a toy model that takes simulated time."""

import random
from collections.abc import Callable

from ringserve.core.admission import Admission
from ringserve.core.batcher import Batch
from ringserve.core.call import Call
from ringserve.core.node import Node, NodeSettings
from ringserve.core.signature import Result, ResultLayout, Signature, TensorLayout
from ringserve.core.tensor import DType
from ringserve.errors import ServeError
from tests.simulation.clock import Clock
from tests.simulation.network import Link

LAYOUT = ResultLayout((TensorLayout("y", DType.UINT8, (1, 8)),))

Answered = Callable[[int, Result, bool, int], None]
Refused = Callable[[int, ServeError], None]


def toy(payload: bytes) -> bytes:
    """Compute the toy model."""
    return bytes((3 * byte + 1) & 255 for byte in payload)


class RemoteCall(Call):
    """A call as the worker sees it: its outcome travels back over the link it came by."""

    def __init__(
        self,
        source: Call,
        now: float,
        link: Link,
        answered: Answered,
        refused: Refused,
    ) -> None:
        signature: Signature = source.signature
        super().__init__(source.key, signature, source.payload, now, source.deadline)
        self.number = source.id
        self.link = link
        self.answered = answered
        self.refused = refused

    def answer(self, result: Result, node_id: str, cached: bool, time_us: int) -> None:
        self.link.to_gateway(lambda: self.answered(self.number, result, cached, time_us))

    def fail(self, error: ServeError) -> None:
        self.link.to_gateway(lambda: self.refused(self.number, error))


class Process:
    """One incarnation of a worker; a crash ends it in the middle of whatever it does."""

    def __init__(
        self, name: str, incarnation: str, clock: Clock, chance: random.Random, run_s: float
    ) -> None:
        self.name = name
        self.incarnation = incarnation
        self.alive = True
        self._clock = clock
        self._chance = chance
        self._run_s = run_s
        self._calls: dict[int, RemoteCall] = {}
        self.node = Node(NodeSettings(name, max_batch=4), Admission(64, None), self._run)

    def receive(self, call: RemoteCall) -> None:
        """Take a call off the link."""
        self._calls[call.number] = call
        self.node.submit(call, self._clock.now)
        self._turn()

    def cancel(self, number: int) -> None:
        """Forget a call that nobody waits for."""
        call = self._calls.pop(number, None)
        if call is not None:
            self.node.cancel(call)

    def link_lost(self) -> None:
        """Forget what came over the link."""
        for number in list(self._calls):
            self.cancel(number)

    def _run(self, batch: Batch) -> None:
        results = [Result(LAYOUT, toy(flight.payload)) for flight in batch.flights]
        self._clock.after(self._chance.uniform(0.1, 1.0) * self._run_s, lambda: self._ran(batch, results))

    def _ran(self, batch: Batch, results: list[Result]) -> None:
        if self.alive:
            self.node.finished(batch, results, self._clock.now)
            self._turn()

    def _turn(self) -> None:
        if self.alive:
            self.node.tick(self._clock.now)
            wake = self.node.next_wake()
            if wake is not None and self.node.pending:
                self._clock.at(max(wake, self._clock.now + 0.05), self._turn)
