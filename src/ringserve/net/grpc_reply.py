"""One request over gRPC: a thread of the server waits for what the event loop answers."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from ringserve.core.call import Call
from ringserve.errors import ServeError
from ringserve.wire.oip_grpc import GrpcCodec

if TYPE_CHECKING:
    from ringserve.core.signature import Result
    from ringserve.core.tensor import ModelSpec
    from ringserve.net.grpc_service import GrpcService


class Reply:
    """Where an answer goes. The loop settles it once; the thread that made it waits and reads.

    Attributes:
        method: The method that was called.
        done: Whether it is settled.
        body: The answer; empty where it failed.
        error: Why it failed.
        fresh: Whether an answer from memory will not do.
        call: What the backend holds for it; None where it holds nothing.
    """

    __slots__ = ("_settled", "body", "call", "done", "error", "fresh", "method", "service")

    def __init__(self, service: GrpcService, method: str, *, fresh: bool = False) -> None:
        """Begin unsettled."""
        self.service = service
        self.method = method
        self.fresh = fresh
        self.done = False
        self.body = b""
        self.error: ServeError | None = None
        self.call: GrpcCall | None = None
        self._settled = Lock()
        self._settled.acquire()

    def settle(self, body: bytes) -> None:
        """Hand the answer over, in the loop."""
        if not self.done:
            self.body = body
            self._release("OK")

    def fail(self, error: ServeError) -> None:
        """Hand the error over, in the loop."""
        if not self.done:
            self.error = error.without_frames()
            self._release(error.grpc)

    def left(self) -> None:
        """The call ended, most often because its answer was sent; from any thread."""
        if not self.done:
            self.service.loop.call_soon_threadsafe(self._take_back)

    def wait(self) -> None:
        """Wait until it is settled, in the thread that made it."""
        self._settled.acquire()  # released by the loop; a lock costs a tenth of an Event

    def _take_back(self) -> None:
        if self.done:
            return
        if self.call is not None:
            self.service.backend.cancel(self.call)
        self.error = ServeError("the caller left")
        self._release("CANCELLED")

    def _release(self, code: str) -> None:
        self.done = True
        self.call = None
        self.service.count(self.method, code)
        self._settled.release()


class GrpcCall(Call):
    """A ModelInfer in a backend's hands; its reply and its codec are set by who makes it."""

    __slots__ = ("codec", "reply", "request_id", "tops")

    reply: Reply
    codec: GrpcCodec
    request_id: bytes
    tops: tuple[int, ...]

    def taken_for(self, spec: ModelSpec) -> None:
        """Name that version in the answer."""
        if spec is not self.codec.spec:
            self.codec = GrpcCodec(spec)

    def answer(self, result: Result, node_id: str, cached: bool, time_us: int) -> None:  # noqa: ARG002 - not shown
        """Write the answer."""
        try:
            body = self.codec.encode(result, self.request_id, self.tops)
        except ServeError as error:
            self.reply.fail(error)
            return
        self.reply.settle(body)

    def fail(self, error: ServeError) -> None:
        """Hand the error on."""
        self.reply.fail(error)
