"""A call that came over HTTP, on the fast path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringserve.core.call import Call
from ringserve.errors import ServeError

if TYPE_CHECKING:
    from ringserve.core.signature import Key, Result
    from ringserve.net.fast_path import HttpProtocol
    from ringserve.wire.infer_json import InferCodec, InferRequest


class Reply:
    """A place in a connection's order of answers.

    Attributes:
        done: The answer's status, body and error, once it is there.
        close: Whether the connection closes after it.
        counts: Where its outcome is counted.
    """

    __slots__ = ("close", "counts", "done")

    def __init__(self, close: bool, counts: list[int]) -> None:
        """Keep the place."""
        self.close = close
        self.counts = counts
        self.done: tuple[int, bytes, ServeError | None] | None = None


class HttpCall(Call):
    """Answers on the connection it came by."""

    __slots__ = ("_codec", "_protocol", "_request_id", "reply")

    def __init__(
        self,
        protocol: HttpProtocol,
        reply: Reply,
        codec: InferCodec,
        request: InferRequest,
        request_id: str,
        times: tuple[float, float],
    ) -> None:
        """Bind the request to its place; `times` are arrival and deadline."""
        key: Key = request.signature.digest(request.payload, protocol.salt)
        super().__init__(key, request.signature, request.payload, times[0], times[1])
        self._protocol = protocol
        self._codec = codec
        self._request_id = request_id
        self.reply = reply

    def answer(self, result: Result, node_id: str, cached: bool, time_us: int) -> None:
        """Write the result, or say why JSON cannot carry it."""
        try:
            body = self._codec.encode(result, self._request_id, node_id, cached, time_us)
        except ServeError as error:
            self.fail(error)
            return
        self._protocol.complete(self, 200, body, None)

    def fail(self, error: ServeError) -> None:
        """Write the error."""
        self._protocol.complete_error(self, error)
