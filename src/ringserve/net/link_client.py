"""The gateway's end of a link: opened by an HTTP Upgrade, then frames both ways."""

from __future__ import annotations

import asyncio
import logging
from time import monotonic
from typing import TYPE_CHECKING, cast

from ringserve.core.byte_strings import find_ends
from ringserve.core.signature import Result, ResultLayout
from ringserve.errors import NoWorker
from ringserve.limits import FRAME_BYTES_MAX
from ringserve.net.link_opening import NotReady, Opening, Unanswered
from ringserve.wire import records
from ringserve.wire.control import Control, Controlled, decode_controlled, encode_control
from ringserve.wire.frames import FROM_WORKER, MODELS_BYTES_MAX, FrameReader, Kind, LinkError, frame
from ringserve.wire.hello import decode_models, decode_worker_hello

if TYPE_CHECKING:
    from ringserve.core.call import Call
    from ringserve.core.router.brain import Router

log = logging.getLogger(__name__)
LAYOUTS_MAX = 1024


class LinkClient(asyncio.Protocol):
    """One link to one worker.

    Attributes:
        address: The worker's, as typed.
        up: Whether frames may be sent.
        greeted: Is done when the worker has greeted.
        closed: Is done when the link is over.
    """

    def __init__(self, router: Router, index: int, address: str, secret: bytes | None = None) -> None:
        """Prepare; the loop connects it. `secret` is the fleet's, where there is one."""
        self._router = router
        self._index = index
        self.address = address
        self._loop = asyncio.get_running_loop()
        self._reader = FrameReader(FROM_WORKER, FRAME_BYTES_MAX, MODELS_BYTES_MAX)
        self._opening: Opening | None = Opening(address, secret)
        self._layouts: dict[bytes, ResultLayout] = {}
        self._out: list[bytes] = []
        self._cancels: list[int] = []
        self._flush_due = False
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._controls: dict[int, asyncio.Future[Controlled]] = {}
        self._last_control = 0
        self.up = False
        self.greeted: asyncio.Future[None] = self._loop.create_future()
        self.closed: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the link."""
        self._transport = cast("asyncio.Transport", transport)
        if self._opening is not None:
            self._transport.write(self._opening.request())

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the router, unless it was the router who gave the link up."""
        if not self.greeted.done():
            unanswered = self._opening is not None and self._opening.is_unanswered
            kind = Unanswered if unanswered else ConnectionResetError
            self.greeted.set_exception(exc or kind("closed before the hello"))
        if self.up:
            self.up = False
            self._router.link_lost(self._index, monotonic())
        for waiting in self._controls.values():
            if not waiting.done():
                waiting.set_exception(NoWorker(f"the link to the worker at {self.address} was lost"))
        if not self.closed.done():
            self.closed.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Take the answer to the Upgrade, then frames."""
        now = monotonic()
        try:
            if self._opening is not None:
                data = self._open(self._opening, data)
            if self.up:
                self._router.heard(self._index, now)
            for kind, body in self._reader.feed(data) if data else ():
                self._take(kind, body, now)
        except (LinkError, NotReady) as error:
            if self.greeted.done():
                log.warning("the link to %s was closed: %s", self.address, error)
            else:
                self.greeted.set_exception(error)
            self._transport.close()

    def send(self, call: Call) -> None:
        """Put a request in the frame that leaves at the end of this turn."""
        signature = call.signature.encoded
        left_s = call.deadline - monotonic()
        self._out += (
            records.request_head(
                call.id, left_s, call.key, signature, call.payload, call.model_number, call.fresh
            ),
            signature,
            call.payload,
        )
        self._due()

    def cancel(self, call_id: int) -> None:
        """Put a cancellation behind the requests of this turn."""
        self._cancels.append(call_id)
        self._due()

    def ping(self) -> None:
        """Ask for a sign of life."""
        self._transport.write(frame(Kind.PING))

    def goodbye(self) -> None:
        """Nothing of ours is left there."""
        self._transport.write(frame(Kind.GOODBYE))

    async def control(self, action: str, name: str) -> str:
        """Ask the worker for something beside requests, and wait until it is done.

        Args:
            action: See `wire.control`.
            name: Of the model.

        Returns:
            What the worker says.

        Raises:
            ServeError: It could not be done, or the link is lost.
        """
        if not self.up:
            raise NoWorker(f"there is no link to the worker at {self.address}")
        self._last_control += 1
        number = self._last_control
        waiting = self._controls[number] = self._loop.create_future()
        try:
            self._transport.write(frame(Kind.CONTROL, encode_control(Control(number, action, name))))
            controlled: Controlled = await waiting
        finally:
            del self._controls[number]
        error = controlled.error()
        if error is not None:
            raise error
        return controlled.message

    def abort(self) -> None:
        """Drop the link without telling the router, which knows."""
        self.up = False
        if self._transport is not None:
            self._transport.abort()

    def _open(self, opening: Opening, data: bytes) -> bytes:
        """Take the answer to the Upgrade; returns the bytes behind it."""
        rest = opening.feed(data)
        if rest is None:
            return b""
        self._opening = None
        self._transport.write(opening.hello())
        return rest

    def _due(self) -> None:
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_due = False
        if not self._transport.is_closing():
            if self._out:
                self._transport.write(frame(Kind.REQUESTS, b"".join(self._out)))
            if self._cancels:
                self._transport.write(frame(Kind.CANCEL, records.cancel_body(self._cancels)))
        self._out = []
        self._cancels = []

    def _take(self, kind: int, body: bytes, now: float) -> None:
        if kind == Kind.ANSWERS:
            self._take_answers(body, now)
        elif kind == Kind.PONG:
            pong = records.read_pong(body)
            self._router.depth(self._index, pong.depth)
            self._router.pong(self._index, pong.run_age_s, pong.slowest_run_s, pong.runs_finished, now)
        elif kind == Kind.GOING_AWAY:
            self._router.going_away(self._index, now)
        elif kind == Kind.MODELS:
            offers, unready = decode_models(body)
            self._router.models_changed(self._index, offers, unready, now)
        elif kind == Kind.CONTROLLED:
            self._take_controlled(body)
        elif not self.up:
            hello = decode_worker_hello(body)
            self.up = True
            if not self.greeted.done():  # the time may be up in this very turn: the link is up all the same
                self.greeted.set_result(None)
            self._router.link_up(self._index, hello, now)

    def _take_answers(self, body: bytes, now: float) -> None:
        depth, answers = records.read_answers(body)
        router, index = self._router, self._index
        router.depth(index, depth)
        known = self._layouts
        for record in answers:
            call_id, status, time_us, encoded, payload = record
            if status >= records.FIRST_ERROR:
                router.refused(index, call_id, records.error_of(record), now)
                continue
            layout = known.get(encoded) or self._layout(encoded)
            if len(payload) != layout.payload_size:
                _check_strings(layout, payload)
            router.answered(index, call_id, Result(layout, payload), status == records.CACHED, time_us, now)

    def _take_controlled(self, body: bytes) -> None:
        controlled = decode_controlled(body)
        controlled.error()  # a status that does not exist closes the link
        waiting = self._controls.get(controlled.id)
        if waiting is not None and not waiting.done():
            waiting.set_result(controlled)

    def _layout(self, encoded: bytes) -> ResultLayout:
        try:
            layout = ResultLayout.decode(encoded)
        except ValueError as error:
            raise LinkError(f"an answer's layout cannot be read: {error}") from error
        if len(self._layouts) < LAYOUTS_MAX:
            self._layouts[encoded] = layout
        return layout


def _check_strings(layout: ResultLayout, payload: bytes) -> None:
    if layout.payload_size >= 0:
        raise LinkError(f"an answer has {len(payload)} bytes for {layout.payload_size}")
    try:
        find_ends(layout.outputs, payload)
    except ValueError as error:
        raise LinkError(f"an answer's tensors cannot be read: {error}") from error
