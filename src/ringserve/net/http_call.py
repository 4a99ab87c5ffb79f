"""Calls that came over HTTP on the fast path, and their places in the order of answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringserve.core.call import Call
from ringserve.errors import ServeError
from ringserve.wire.oip_rest import RestCodec

Done = tuple[int, bytes, ServeError | None, int | None]

if TYPE_CHECKING:
    from ringserve.core.signature import Result, Salt, Signature
    from ringserve.core.tensor import ModelSpec
    from ringserve.net.fast_path import HttpProtocol
    from ringserve.wire.infer_json import InferCodec
    from ringserve.wire.oip_rest import RestRequest


class Reply:
    """A place in a connection's order of answers.

    Attributes:
        done: The answer's status, body, error, and the length of its JSON where binary tensors follow that,
            once it is there.
        close: Whether the connection closes after it.
        counts: Where its outcome is counted.
    """

    __slots__ = ("close", "counts", "done")

    def __init__(self, close: bool, counts: list[int]) -> None:
        """Keep the place."""
        self.close = close
        self.counts = counts
        self.done: Done | None = None


class HttpCall(Call):
    """Answers on the connection it came by; also its own place in that connection's order of answers.

    Attributes:
        protocol: The connection.
        done: As of `Reply`.
        close: As of `Reply`.
        counts: As of `Reply`.
    """

    __slots__ = ("close", "counts", "done", "protocol")

    protocol: HttpProtocol
    close: bool
    counts: list[int]

    def __init__(
        self, signature: Signature, payload: bytes, salt: Salt | None, received_at: float, deadline: float
    ) -> None:
        """Name the request; the connection sets the other attributes."""
        super().__init__(signature.digest(payload, salt), signature, payload, received_at, deadline)
        self.done: Done | None = None

    def fail(self, error: ServeError) -> None:
        """Write the error."""
        self.protocol.complete_error(self, error)


class InferCall(HttpCall):
    """A request of `/infer`.

    Attributes:
        codec: Writes the answer.
        request_id: The caller's name for the request.
    """

    __slots__ = ("codec", "request_id")

    codec: InferCodec
    request_id: str

    def answer(self, result: Result, node_id: str, cached: bool, time_us: int) -> None:
        """Write the result, or say why JSON cannot carry it."""
        try:
            body = self.codec.encode(result, self.request_id, node_id, cached, time_us)
        except ServeError as error:
            self.fail(error)
            return
        self.protocol.complete(self, body)


class RestCall(HttpCall):
    """A request of `/v2`.

    Attributes:
        codec: Writes the answer.
        request: Says in which form it is asked for.
    """

    __slots__ = ("codec", "request")

    codec: RestCodec
    request: RestRequest

    def taken_for(self, spec: ModelSpec) -> None:
        """Name that version in the answer."""
        if spec is not self.codec.spec:
            self.codec = RestCodec(spec)

    def answer(self, result: Result, node_id: str, cached: bool, time_us: int) -> None:  # noqa: ARG002 - not told
        """Write the result, or say why it cannot be had in this form."""
        try:
            body, json_size = self.codec.encode(self.request, result)
        except ServeError as error:
            self.fail(error)
            return
        self.protocol.complete(self, body, json_size)
