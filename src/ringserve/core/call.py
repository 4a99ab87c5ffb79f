"""One accepted inference request, as both brains see it.

A call is a row in a table, not a task. The shell that received it (an HTTP connection, a link, a
test) subclasses `Call` and says how an answer reaches the caller; the brain that accepted it calls
exactly one of `answer` and `fail`, exactly once, unless the shell took the call back with `cancel`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringserve.core.router.worker_state import KeyFlight
    from ringserve.core.signature import Key, Result, Signature
    from ringserve.core.single_flight import Flight
    from ringserve.core.tensor import ModelSpec
    from ringserve.errors import ServeError


class Call:
    """A request and the notes that the brain holding it makes on it.

    Attributes:
        key: The request's digest.
        signature: Layout of the payload.
        payload: Raw bytes of all input tensors.
        deadline: When an answer is too late, in seconds of the brain's clock.
        received_at: When it arrived, in seconds of the brain's clock.
        flight: In a node: the computation it waits for, None when it waits for none.
        key_flight: In a router: the calls of its key that are with the same worker.
        id: In a router: its number on the link, 0 while it is with no worker.
        worker: In a router: index of the worker it is with.
        fresh: Whether an answer from memory will not do: it is computed anew, and then remembered.
        model_number: In a router: the worker's number for the model that is asked for; 0 before it was
            ever routed, -1 where it has only waited.
        permit: In a router: what that worker's breaker gave it.
        tried: In a router: indexes of the workers it was with before.
        refusals: In a router: (worker, incarnation, error) of those that refused it; none is asked twice. A
            model that was gone counts against no worker: -1.
        suspects: In a router: (worker, incarnation) pairs that may have died with it in flight.
    """

    __slots__ = (
        "deadline",
        "flight",
        "fresh",
        "id",
        "key",
        "key_flight",
        "model_number",
        "payload",
        "permit",
        "received_at",
        "refusals",
        "signature",
        "suspects",
        "tried",
        "worker",
    )

    def __init__(
        self, key: Key, signature: Signature, payload: bytes, received_at: float, deadline: float
    ) -> None:
        """Describe the request; nobody has it yet."""
        self.key = key
        self.signature = signature
        self.payload = payload
        self.received_at = received_at
        self.deadline = deadline
        self.flight: Flight | None = None
        self.key_flight: KeyFlight | None = None
        self.fresh = False
        self.id = 0
        self.model_number = 0
        self.worker = -1
        self.permit = 0
        self.tried: tuple[int, ...] = ()
        self.refusals: tuple[tuple[int, str, ServeError], ...] = ()
        self.suspects: tuple[tuple[int, str], ...] = ()

    def answer(self, result: Result, node_id: str, cached: bool, time_us: int) -> None:
        """Hand the result to the caller.

        Args:
            result: The model's outputs.
            node_id: The worker that computed or remembered it.
            cached: Whether it came from the cache; a joiner of a running computation has False.
            time_us: From the worker's receipt of the request to its answer, in microseconds.
        """
        raise NotImplementedError

    def taken_for(self, spec: ModelSpec) -> None:
        """A router that sends it anew, or late, takes it for this model: perhaps a newer version."""

    def fail(self, error: ServeError) -> None:
        """Hand the error to the caller."""
        raise NotImplementedError
