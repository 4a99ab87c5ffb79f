"""The client for asyncio: `Client` with `await`."""

from __future__ import annotations

import asyncio
import random
from time import monotonic
from typing import TYPE_CHECKING, Self, TypeVar

from ringserve.client import calls
from ringserve.client.answers import sentence_of
from ringserve.client.async_connection import AsyncConnection
from ringserve.client.attempts import Attempts
from ringserve.client.errors import ClientError, ConnectionFailed, DeadlineExceeded, Unavailable, error_of
from ringserve.client.http_message import request_head
from ringserve.client.target import target_of

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Mapping

    from ringserve.client.answers import Answer, Fields, ModelMetadata, ModelState, ServerMetadata
    from ringserve.client.calls import Asked
    from ringserve.client.http_message import HttpAnswer
    from ringserve.client.tensors import Array

Found = TypeVar("Found")
_OK = 200


class AsyncClient:
    """Calls one server from one event loop, over connections that are kept.

    ::

        async with ringserve.AsyncClient("http://127.0.0.1:8000") as client:
            answer = await client.infer("digits", {"pixels": pixels})
            answer["probabilities"]

    Everything else is as of `ringserve.Client`. A call whose task is cancelled closes its connection, so
    that the server knows that nobody waits any more.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout_s: float = 30.0,
        retries: int = 2,
        connections_max: int = 64,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Connect with the first call, not here.

        Args:
            url: Of a gateway or a worker, such as `http://127.0.0.1:8000`.
            api_key: Shown with every request.
            timeout_s: How long a call may take in all, retries included, unless it says its own time. The
                server is told how much of it is left.
            retries: How often a call is tried again where that is safe (see `ringserve.client.attempts`).
            connections_max: Calls that are under way at a time; others wait their turn, within their time.
            tls: How an https URL is spoken to; the system's authorities unless given.

        Raises:
            ValueError: An argument cannot be meant.
        """
        calls.check_numbers(timeout_s, retries, connections_max - 1)
        self._target = target_of(url, api_key, tls)
        self._timeout_s = timeout_s
        self._retries = retries
        self._kept: list[AsyncConnection] = []
        self._turns = asyncio.Semaphore(connections_max)
        self._closed = False

    async def __aenter__(self) -> Self:
        """Use as a context, which closes the connections."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()

    async def close(self) -> None:
        """Close the idle connections; those in use close with their answer. No call can follow."""
        self._closed = True
        self._drop_kept()

    async def infer(
        self,
        model: str,
        inputs: Mapping[str, Array],
        outputs: Iterable[str] | None = None,
        *,
        version: str = "",
        timeout_s: float | None = None,
        request_id: str = "",
        datatypes: Mapping[str, str] | None = None,
        fresh: bool = False,
    ) -> Answer:
        """Run a model.

        Args:
            model: Its name.
            inputs: Arrays by the names of the model's inputs; their types are the model's own, nothing is
                converted. Strings are `str_` or objects. A large array must not change until this returns.
            outputs: Names of those wanted; None for all.
            version: Of the model; empty for the one that the server takes.
            timeout_s: Instead of the client's.
            request_id: Comes back with the answer.
            datatypes: The protocol's type of inputs whose arrays do not tell it: BF16 as uint16.
            fresh: Have it computed, whatever the server remembers; it remembers this answer then.

        Returns:
            The outputs by name, as arrays that are the caller's own.

        Raises:
            ClientError: There is no answer; see `ringserve.client.errors`.
            TypeError: An input is no array, or has a type that the protocol does not have.
        """
        asked = calls.infer(model, inputs, outputs, version, request_id, datatypes or {}, fresh=fresh)
        return await self._ask(asked, timeout_s)

    async def live(self) -> bool:
        """Whether the server lives; False where nobody answers."""
        return await self._holds(calls.live())

    async def ready(self, model: str = "", version: str = "") -> bool:
        """Whether the server, or one of its models, is ready; False where nobody answers.

        Raises:
            NotFound: There is no such model.
        """
        return await self._holds(calls.ready(model, version))

    async def server(self) -> ServerMetadata:
        """What serves, and what it can do."""
        return await self._ask(calls.server())

    async def models(self) -> tuple[ModelState, ...]:
        """The models of the server, and the state of each."""
        return await self._ask(calls.index())

    async def metadata(self, model: str, version: str = "") -> ModelMetadata:
        """What a model takes and gives."""
        return await self._ask(calls.metadata(model, version))

    async def config(self, model: str, version: str = "") -> Fields:
        """How a model is served, as the JSON says it: `max_batch_size`, `dynamic_batching` and more."""
        return await self._ask(calls.config(model, version))

    async def statistics(self, model: str = "", version: str = "") -> Fields:
        """What the server counted of a model, or of all, as the JSON says it."""
        return await self._ask(calls.statistics(model, version))

    async def load(self, model: str, *, timeout_s: float | None = None) -> None:
        """Load a model, or load it again; returns when it serves."""
        await self._ask(calls.control("load", model), timeout_s)

    async def unload(self, model: str, *, timeout_s: float | None = None) -> None:
        """Unload a model; returns when it is gone."""
        await self._ask(calls.control("unload", model), timeout_s)

    async def _holds(self, asked: Asked[None]) -> bool:
        try:
            await self._ask(asked, retries=0)
        except (ConnectionFailed, Unavailable):
            return False
        return True

    async def _ask(
        self, asked: Asked[Found], timeout_s: float | None = None, retries: int | None = None
    ) -> Found:
        if self._closed:
            raise ValueError("the client is closed")
        limit_s = self._timeout_s if timeout_s is None else timeout_s
        calls.check_numbers(limit_s, 0, 0)
        deadline = monotonic() + limit_s
        attempts = Attempts(
            self._retries if retries is None else retries,
            deadline,
            random.random,
            repeatable=asked.repeatable,
        )
        try:
            async with asyncio.timeout(limit_s), self._turns:
                return await self._attempt(asked, attempts, deadline)
        except TimeoutError:
            raise DeadlineExceeded(f"no answer from {self._target} within {limit_s:g} s") from None

    async def _attempt(self, asked: Asked[Found], attempts: Attempts, deadline: float) -> Found:
        while True:
            connection = None
            try:
                connection = await self._take(fresh=attempts.fresh)
                answer = await self._exchange(connection, asked, deadline)
                if answer.status == _OK:
                    return asked.read(answer)
                raise error_of(answer.status, sentence_of(answer), answer.retry_after_s)
            except ClientError as error:
                kept = connection is not None and connection.kept
                await asyncio.sleep(attempts.pause_after(error, monotonic(), kept=kept))

    async def _take(self, *, fresh: bool) -> AsyncConnection:
        if fresh:
            self._drop_kept()
        while self._kept:
            connection = self._kept.pop()
            if not connection.lost:
                return connection
        return await AsyncConnection.connect(self._target)

    async def _exchange(
        self, connection: AsyncConnection, asked: Asked[Found], deadline: float
    ) -> HttpAnswer:
        """Send and wait; whatever goes wrong closes the connection."""
        answer = None
        target, body = self._target, asked.body
        try:
            head = request_head(
                asked.method,
                target.prefix + asked.path,
                target.headers + asked.headers,
                sum(map(len, body)),
                deadline - monotonic(),
                asked.json_size,
            )
            answer = await connection.exchange((head, *body))
        finally:
            if answer is not None and answer.keep_alive and not self._closed:
                self._kept.append(connection)
            else:
                connection.close()
        return answer

    def _drop_kept(self) -> None:
        while self._kept:
            self._kept.pop().close()
