"""A call that a coroutine waits for, and that is taken back when its caller leaves."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from ringserve.core.call import Call
from ringserve.errors import ServeError

if TYPE_CHECKING:
    from starlette.types import Receive

    from ringserve.core.signature import Key, Result, Salt, Signature
    from ringserve.core.tensor import ModelSpec
    from ringserve.net.backend import Backend


class Answer(NamedTuple):
    """What became of a call, see `Call.answer`; `spec` is what `Call.taken_for` told last, or None."""

    result: Result
    node_id: str
    cached: bool
    time_us: int
    spec: ModelSpec | None


class AwaitedCall(Call):
    """A call whose caller waits in a coroutine; `outcome` is what it waits for."""

    __slots__ = ("outcome", "spec")

    def __init__(
        self, key: Key, signature: Signature, payload: bytes, received_at: float, deadline: float
    ) -> None:
        """Describe the request; call this in the event loop."""
        super().__init__(key, signature, payload, received_at, deadline)
        self.outcome: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.spec: ModelSpec | None = None

    def taken_for(self, spec: ModelSpec) -> None:
        """Tell that version with the answer."""
        self.spec = spec

    def answer(self, result: Result, node_id: str, cached: bool, time_us: int) -> None:
        """Wake the coroutine with the result."""
        if not self.outcome.done():
            self.outcome.set_result(Answer(result, node_id, cached, time_us, self.spec))

    def fail(self, error: ServeError) -> None:
        """Wake the coroutine with the error."""
        if not self.outcome.done():
            self.outcome.set_exception(error)


async def ask(
    backend: Backend,
    signature: Signature,
    payload: bytes,
    salt: Salt | None,
    *,
    received_at: float,
    deadline: float,
    receive: Receive,
    fresh: bool = False,
) -> Answer:
    """Submit a request and wait for its answer.

    Args:
        backend: Answers it.
        signature: Valid for its model.
        payload: The tensors' bytes.
        salt: Of the caller, where its requests must not meet equal ones of others in a cache.
        received_at: When it arrived, in seconds.
        deadline: When an answer is too late, in seconds.
        receive: Tells when the caller leaves.
        fresh: Whether an answer from memory will not do.

    Raises:
        ServeError: It failed, or the caller left.
    """
    call = AwaitedCall(signature.digest(payload, salt), signature, payload, received_at, deadline)
    call.fresh = fresh
    backend.submit(call, monotonic())
    async with asyncio.TaskGroup() as tasks:
        watcher = tasks.create_task(_watch(receive, backend, call), name="caller-watch")
        try:
            await asyncio.wait([call.outcome])
        finally:
            watcher.cancel()
    return call.outcome.result()


async def _watch(receive: Receive, backend: Backend, call: AwaitedCall) -> None:
    """Take the call back when the caller leaves."""
    while (await receive())["type"] != "http.disconnect":
        pass
    if not call.outcome.done():
        backend.cancel(call)
        call.outcome.set_exception(ServeError("the caller left"))
