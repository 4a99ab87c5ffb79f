"""The client for threads."""

from __future__ import annotations

import random
from collections import deque
from time import monotonic, sleep
from typing import TYPE_CHECKING, Self, TypeVar

from ringserve.client import calls
from ringserve.client.answers import sentence_of
from ringserve.client.attempts import Attempts
from ringserve.client.connection import Connection
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


class Client:
    """Calls one server, over connections that are kept; any number of threads may share it.

    ::

        with ringserve.Client("http://127.0.0.1:8000") as client:
            answer = client.infer("digits", {"pixels": pixels})
            answer["probabilities"]

    A call that fails raises one of `ringserve.client.errors`, a tree under `ClientError`. Proxies are not
    used, whatever the environment says, and redirects are not followed. A process that forks makes a client
    of its own.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout_s: float = 30.0,
        retries: int = 2,
        connections_kept: int = 32,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Connect with the first call, not here.

        Args:
            url: Of a gateway or a worker, such as `http://127.0.0.1:8000`.
            api_key: Shown with every request.
            timeout_s: How long a call may take in all, retries included, unless it says its own time. The
                server is told how much of it is left.
            retries: How often a call is tried again where that is safe (see `ringserve.client.attempts`).
            connections_kept: Idle connections that stay open; each thread that calls at a time has its own.
            tls: How an https URL is spoken to; the system's authorities unless given.

        Raises:
            ValueError: An argument cannot be meant.
        """
        calls.check_numbers(timeout_s, retries, connections_kept)
        self._target = target_of(url, api_key, tls)
        self._timeout_s = timeout_s
        self._retries = retries
        self._kept_max = connections_kept
        self._kept: deque[Connection] = deque()
        self._closed = False

    def __enter__(self) -> Self:
        """Use as a context, which closes the connections."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Close the idle connections; those in use close with their answer. No call can follow."""
        self._closed = True
        self._drop_kept()

    def infer(
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
        return self._ask(asked, timeout_s)

    def live(self) -> bool:
        """Whether the server lives; False where nobody answers."""
        return self._holds(calls.live())

    def ready(self, model: str = "", version: str = "") -> bool:
        """Whether the server, or one of its models, is ready; False where nobody answers.

        Raises:
            NotFound: There is no such model.
        """
        return self._holds(calls.ready(model, version))

    def server(self) -> ServerMetadata:
        """What serves, and what it can do."""
        return self._ask(calls.server())

    def models(self) -> tuple[ModelState, ...]:
        """The models of the server, and the state of each."""
        return self._ask(calls.index())

    def metadata(self, model: str, version: str = "") -> ModelMetadata:
        """What a model takes and gives."""
        return self._ask(calls.metadata(model, version))

    def config(self, model: str, version: str = "") -> Fields:
        """How a model is served, as the JSON says it: `max_batch_size`, `dynamic_batching` and more."""
        return self._ask(calls.config(model, version))

    def statistics(self, model: str = "", version: str = "") -> Fields:
        """What the server counted of a model, or of all, as the JSON says it."""
        return self._ask(calls.statistics(model, version))

    def load(self, model: str, *, timeout_s: float | None = None) -> None:
        """Load a model, or load it again; returns when it serves."""
        self._ask(calls.control("load", model), timeout_s)

    def unload(self, model: str, *, timeout_s: float | None = None) -> None:
        """Unload a model; returns when it is gone."""
        self._ask(calls.control("unload", model), timeout_s)

    def _holds(self, asked: Asked[None]) -> bool:
        try:
            self._ask(asked, retries=0)
        except (ConnectionFailed, Unavailable):
            return False
        return True

    def _ask(self, asked: Asked[Found], timeout_s: float | None = None, retries: int | None = None) -> Found:
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
        while True:
            connection = None
            try:
                connection = self._take(deadline, fresh=attempts.fresh)
                answer = self._exchange(connection, asked, deadline)
                if answer.status == _OK:
                    return asked.read(answer)
                raise error_of(answer.status, sentence_of(answer), answer.retry_after_s)
            except TimeoutError:
                raise DeadlineExceeded(f"no answer from {self._target} within {limit_s:g} s") from None
            except ClientError as error:
                kept = connection is not None and connection.kept
                sleep(attempts.pause_after(error, monotonic(), kept=kept))

    def _take(self, deadline: float, *, fresh: bool) -> Connection:
        if fresh:
            self._drop_kept()
        while True:
            try:
                connection = self._kept.pop()
            except IndexError:
                return Connection(self._target, deadline)
            if connection.is_quiet():
                return connection
            connection.close()

    def _exchange(self, connection: Connection, asked: Asked[Found], deadline: float) -> HttpAnswer:
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
            answer = connection.exchange((head, *body), deadline)
        finally:
            keep = answer is not None and answer.keep_alive and len(self._kept) < self._kept_max
            if keep:
                self._kept.append(connection)
            else:
                connection.close()
            if self._closed:  # meanwhile, by another thread
                self._drop_kept()
        return answer

    def _drop_kept(self) -> None:
        while True:
            try:
                self._kept.pop().close()
            except IndexError:
                return
