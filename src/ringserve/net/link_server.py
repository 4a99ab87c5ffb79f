"""The worker's end of a link: frames from a gateway in, answers out, one write a turn."""

from __future__ import annotations

import asyncio
import logging
from time import monotonic
from typing import TYPE_CHECKING, cast

from ringserve.core.byte_strings import find_ends
from ringserve.core.call import Call
from ringserve.errors import BadRequest, ModelGone, ServeError
from ringserve.limits import FRAME_BYTES_MAX, PROOF_TIMEOUT_S
from ringserve.wire import records
from ringserve.wire.control import STATISTICS, decode_control, encode_controlled
from ringserve.wire.frames import FROM_GATEWAY, FrameReader, Kind, LinkError, frame
from ringserve.wire.hello import decode_gateway_hello
from ringserve.wire.model_counts import encode_counts

if TYPE_CHECKING:
    from ringserve.core.signature import Result, Signature
    from ringserve.net.fleet_secret import Challenge
    from ringserve.net.link_host import Host, Served


log = logging.getLogger(__name__)
SILENCE_MAX_S = 10.0
"""How long a gateway may be silent before its hello and within a frame."""

CONTROLS_MAX = 64
"""Control frames of one gateway that may be under way."""

PINGS_MAX = 64
"""Pings in one read; a gateway sends a few in each hang time-out, and 50,000 fit into a read."""


class LinkCall(Call):
    """A call that came over a link, under the gateway's number."""

    __slots__ = ("link", "served")

    link: LinkServer
    served: Served

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
    """One gateway's link.

    Attributes:
        calls: What is not answered yet.
        challenge: What the gateway must prove before it is greeted; None where nothing, or no more.
    """

    def __init__(self, host: Host) -> None:
        """Serve for this worker."""
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._reader = FrameReader(FROM_GATEWAY, FRAME_BYTES_MAX)
        self._out: list[bytes] = []
        self._flush_due = False
        self._pings = 0
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        # A gateway may send anew what it cancels in the same frame, so it may seem to have twice its credit.
        self._calls_max = 2 * host.credit_items
        self._heard = False
        self._controls = 0
        self._watch: asyncio.TimerHandle | None = None
        self.calls: dict[int, LinkCall] = {}
        self.challenge: Challenge | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet, unless there is something to prove first."""
        self._transport = cast("asyncio.Transport", transport)
        if self.challenge is None:
            self._greet()
        else:
            self._host.unproved.add(self)
            self._watch = self._loop.call_later(PROOF_TIMEOUT_S, self._refuse, "it took too long")

    def _greet(self) -> None:
        self._host.links.add(self)
        self._transport.write(frame(Kind.HELLO, self._host.hello()))
        self._watch = self._loop.call_later(SILENCE_MAX_S, self._look_for_silence)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Nobody waits for these calls any more."""
        self._host.links.discard(self)
        self._host.unproved.discard(self)
        if self._watch is not None:
            self._watch.cancel()
        calls, self.calls = self.calls, {}
        for call in calls.values():
            call.served.node.cancel(call)

    def data_received(self, data: bytes) -> None:
        """Take frames; what arrived together runs together."""
        now = monotonic()
        self._heard = True
        try:
            for kind, body in self._reader.feed(data):
                self._take(kind, body, now)
        except LinkError as error:
            self._refuse(str(error))
            return
        if self._pings:  # one answer for all that came together
            self._pings = 0
            self._transport.write(frame(Kind.PONG, self._host.pong(now)))
        self._host.flush(monotonic())  # what was queued meanwhile would else seem cut before it was queued
        if self._out:
            self.flush()

    def pause_writing(self) -> None:
        """A gateway that does not read is not read from: what waits for it stays bounded."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """It reads again."""
        self._transport.resume_reading()

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
            body = records.DEPTH.pack(self._host.depth) + b"".join(self._out)
            self._transport.write(frame(Kind.ANSWERS, body))
        self._out = []

    def go_away(self) -> None:
        """Ask the gateway for nothing new."""
        self._transport.write(frame(Kind.GOING_AWAY))

    def tell_models(self, body: bytes) -> None:
        """Say which models there are now, see `wire.hello.encode_models`."""
        self._transport.write(frame(Kind.MODELS, body))

    def close(self) -> None:
        """Close after what was written has left."""
        self._transport.close()

    def _look_for_silence(self) -> None:
        """Close a link whose gateway stopped in the middle of what it was saying."""
        if self._reader.is_waiting and not self._heard:
            log.warning("a link was closed: it was silent for %g s in the middle of a frame", SILENCE_MAX_S)
            self._transport.abort()
            return
        self._heard = False
        self._watch = self._loop.call_later(SILENCE_MAX_S, self._look_for_silence)

    def _refuse(self, why: str) -> None:
        """Close the link; where strangers could fill the log with it, it is not told each time."""
        if self.challenge is not None:
            self.challenge.secret.refused(why)
        else:
            log.warning("a link was closed: %s", why)
        self._transport.close()

    def _take_hello(self, body: bytes) -> None:
        hello = decode_gateway_hello(body)
        challenge = self.challenge
        if challenge is not None:
            if not challenge.is_met_by(hello.proof):
                raise LinkError("the gateway's proof is wrong: it has another secret")
            if not self._host.takes_links:  # the drain began meanwhile
                self._transport.close()
                return
            self.challenge = None
            self._host.unproved.discard(self)
            if self._watch is not None:
                self._watch.cancel()
            self._greet()
        self._host.called(hello.called)

    def _take(self, kind: int, body: bytes, now: float) -> None:
        if kind == Kind.REQUESTS:
            for record in records.read_requests(body, self._calls_max):
                self._accept(record, now)
        elif kind == Kind.PING:
            self._pings += 1
            if self._pings > PINGS_MAX:
                raise LinkError(f"more than {PINGS_MAX} pings came at once")
        elif kind == Kind.CANCEL:
            for call_id in records.read_cancel(body):
                call = self.calls.pop(call_id, None)
                if call is not None:
                    call.served.node.cancel(call)
        elif kind == Kind.GOODBYE:
            self._transport.close()
        elif kind == Kind.CONTROL:
            self._take_control(body)
        else:
            self._take_hello(body)

    def _take_control(self, body: bytes) -> None:
        asked = decode_control(body)
        if self._controls >= CONTROLS_MAX:
            raise LinkError(f"more than {CONTROLS_MAX} control frames wait for their answers")
        self._controls += 1

        def done(outcome: str | ServeError) -> None:
            self._controls -= 1
            if not self._transport.is_closing():
                self._transport.write(frame(Kind.CONTROLLED, encode_controlled(asked.id, outcome)))

        if asked.action == STATISTICS:
            now = monotonic()
            specs = [offer.spec for offer in self._host.offers()]
            done(encode_counts((spec, self._host.model_statistics(spec, now)) for spec in specs))
        else:
            self._host.take_control(asked.action, asked.name, done)

    def _accept(self, record: records.RequestRecord, now: float) -> None:
        call_id, left_ms, key, model, flags, encoded, payload = record
        if call_id in self.calls:
            raise LinkError(f"number {call_id} is in use")
        if len(self.calls) >= self._calls_max:
            raise LinkError(f"{len(self.calls)} requests are twice what the gateway was granted")
        try:
            served = self._host.served(model)
            signature = served.signatures.find(encoded)
            _check_size(signature, payload)
        except (BadRequest, ModelGone) as error:
            self.put(records.error_record(call_id, error))
            return
        call = LinkCall(key, signature, payload, now, now + left_ms / 1000)
        call.id = call_id
        call.link = self
        call.served = served
        call.fresh = flags & records.FRESH > 0
        self.calls[call_id] = call
        served.submit(call, monotonic())


def _check_size(signature: Signature, payload: bytes) -> None:
    expected, got = signature.payload_size, len(payload)
    if expected != got:
        if expected >= 0:
            raise BadRequest(f"expected {expected} bytes of tensors, got {got}")
        try:
            find_ends(signature.inputs, payload)
        except ValueError as error:
            raise BadRequest(f"the request's tensors cannot be read: {error}") from None
