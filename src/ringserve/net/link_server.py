"""The worker's end of a link: frames from a gateway in, answers out, one write a turn."""

from __future__ import annotations

import asyncio
import logging
from time import monotonic
from typing import TYPE_CHECKING, cast

from ringserve.core.call import Call
from ringserve.errors import BadRequest, ServeError
from ringserve.limits import FRAME_BYTES_MAX
from ringserve.wire import records
from ringserve.wire.frames import FROM_GATEWAY, FrameReader, Kind, LinkError, frame
from ringserve.wire.hello import decode_gateway_hello

if TYPE_CHECKING:
    from typing import Protocol

    from ringserve.core.node import Node
    from ringserve.core.signature import Result
    from ringserve.core.signatures import Signatures

    class Host(Protocol):
        """What a link needs of its worker."""

        node: Node
        signatures: Signatures
        links: set[LinkServer]

        def hello(self) -> bytes:
            """What a gateway is greeted with."""

        def pong(self, now: float) -> bytes:
            """A sign of life."""

        def called(self, name: str) -> None:
            """A gateway told what it calls this worker."""

        def submit(self, call: Call, now: float) -> None:
            """Accept a call."""

        def flush(self, now: float) -> None:
            """Run what was accepted."""


log = logging.getLogger(__name__)


class LinkCall(Call):
    """A call that came over a link, under the gateway's number."""

    __slots__ = ("link",)

    link: LinkServer

    def answer(self, result: Result, node_id: str, cached: bool, time_us: int) -> None:  # noqa: ARG002 - the link knows
        """Put the answer in the next frame."""
        link = self.link
        if link.calls.pop(self.id, None) is not None:
            link.put(records.answer_record(self.id, result, cached, time_us))

    def fail(self, error: ServeError) -> None:
        """Put the error in the next frame."""
        link = self.link
        if link.calls.pop(self.id, None) is not None:
            link.put(records.error_record(self.id, error))


class LinkServer(asyncio.Protocol):
    """One gateway's link."""

    def __init__(self, host: Host) -> None:
        """Serve for this worker."""
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._reader = FrameReader(FROM_GATEWAY, FRAME_BYTES_MAX)
        self._out: list[bytes] = []
        self._flush_due = False
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self.calls: dict[int, LinkCall] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self._transport = cast("asyncio.Transport", transport)
        self._host.links.add(self)
        self._transport.write(frame(Kind.HELLO, self._host.hello()))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Nobody waits for these calls any more."""
        self._host.links.discard(self)
        calls, self.calls = self.calls, {}
        for call in calls.values():
            self._host.node.cancel(call)

    def data_received(self, data: bytes) -> None:
        """Take frames; what arrived together runs together."""
        now = monotonic()
        try:
            for kind, body in self._reader.feed(data):
                self._take(kind, body, now)
        except LinkError as error:
            log.warning("a link was closed: %s", error)
            self._transport.close()
            return
        self._host.flush(monotonic())  # what was queued meanwhile would else seem cut before it was queued
        if self._out:
            self.flush()

    def put(self, parts: tuple[bytes, bytes, bytes]) -> None:
        """Add a record to the frame that leaves at the end of this turn."""
        self._out += parts
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write what gathered as one frame."""
        self._flush_due = False
        if self._out and not self._transport.is_closing():
            body = records.DEPTH.pack(self._host.node.depth) + b"".join(self._out)
            self._transport.write(frame(Kind.ANSWERS, body))
        self._out = []

    def go_away(self) -> None:
        """Ask the gateway for nothing new."""
        self._transport.write(frame(Kind.GOING_AWAY))

    def close(self) -> None:
        """Close after what was written has left."""
        self._transport.close()

    def _take(self, kind: int, body: bytes, now: float) -> None:
        if kind == Kind.REQUESTS:
            for record in records.read_requests(body):
                self._accept(record, now)
        elif kind == Kind.PING:
            self._transport.write(frame(Kind.PONG, self._host.pong(now)))
        elif kind == Kind.CANCEL:
            for call_id in records.read_cancel(body):
                call = self.calls.pop(call_id, None)
                if call is not None:
                    self._host.node.cancel(call)
        elif kind == Kind.GOODBYE:
            self._transport.close()
        else:
            self._host.called(decode_gateway_hello(body).called)

    def _accept(self, record: records.RequestRecord, now: float) -> None:
        if record.id in self.calls:
            raise LinkError(f"number {record.id} is in use")
        try:
            signature = self._host.signatures.find(record.signature)
            _check_size(signature.payload_size, len(record.payload))
        except BadRequest as error:
            self.put(records.error_record(record.id, error))
            return
        call = LinkCall(record.key, signature, record.payload, now, now + record.left_ms / 1000)
        call.id = record.id
        call.link = self
        self.calls[record.id] = call
        self._host.submit(call, monotonic())


def _check_size(expected: int, got: int) -> None:
    if expected != got:
        raise BadRequest(f"expected {expected} bytes of tensors, got {got}")
