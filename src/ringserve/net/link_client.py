"""The gateway's end of a link: opened by an HTTP Upgrade, kept open, opened again."""

from __future__ import annotations

import asyncio
import logging
from time import monotonic
from typing import TYPE_CHECKING, cast

from ringserve.core.signature import Result, ResultLayout
from ringserve.limits import FRAME_BYTES_MAX
from ringserve.wire import records
from ringserve.wire.frames import FROM_WORKER, FrameReader, Kind, LinkError, frame
from ringserve.wire.hello import PROTOCOL, decode_worker_hello, encode_gateway_hello

if TYPE_CHECKING:
    from ringserve.core.call import Call
    from ringserve.core.router.brain import Router

log = logging.getLogger(__name__)
HEAD_MAX = 16384
LAYOUTS_MAX = 1024
BACKOFF_FIRST_S = 0.05
BACKOFF_MAX_S = 1.0
NOT_READY_RETRY_S = 0.1
NOT_READY = 503


class NotReady(Exception):
    """Somebody is there but takes no link yet, or none any more."""


class LinkClient(asyncio.Protocol):
    """One link to one worker; `closed` is done when it is over."""

    def __init__(self, router: Router, index: int, address: str) -> None:
        """Prepare; the loop connects it."""
        self._router = router
        self._index = index
        self._address = address
        self._loop = asyncio.get_running_loop()
        self._reader = FrameReader(FROM_WORKER, FRAME_BYTES_MAX)
        self._head: bytes | None = b""
        self._layouts: dict[bytes, ResultLayout] = {}
        self._out: list[bytes] = []
        self._cancels: list[int] = []
        self._flush_due = False
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self.up = False
        self.greeted: asyncio.Future[None] = self._loop.create_future()
        self.closed: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the link."""
        self._transport = cast("asyncio.Transport", transport)
        lines = (
            "GET / HTTP/1.1",
            f"Host: {self._address}",
            "Connection: Upgrade",
            f"Upgrade: {PROTOCOL}",
            "",
            "",
        )
        self._transport.write("\r\n".join(lines).encode())

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the router, unless it was the router who gave the link up."""
        if not self.greeted.done():
            self.greeted.set_exception(exc or ConnectionResetError("closed before the hello"))
        if self.up:
            self.up = False
            self._router.link_lost(self._index, monotonic())
        if not self.closed.done():
            self.closed.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Take the answer to the Upgrade, then frames."""
        now = monotonic()
        try:
            if self._head is not None:
                data = self._take_head(data)
            if self.up:
                self._router.heard(self._index, now)
            for kind, body in self._reader.feed(data) if data else ():
                self._take(kind, body, now)
        except (LinkError, NotReady) as error:
            if self.greeted.done():
                log.warning("the link to %s was closed: %s", self._address, error)
            else:
                self.greeted.set_exception(error)
            self._transport.close()

    def send(self, call: Call) -> None:
        """Put a request in the frame that leaves at the end of this turn."""
        signature = call.signature.encoded
        left_s = call.deadline - monotonic()
        self._out += (
            records.request_head(call.id, left_s, call.key, signature, call.payload),
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

    def abort(self) -> None:
        """Drop the link without telling the router, which knows."""
        self.up = False
        if self._transport is not None:
            self._transport.abort()

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

    def _take_head(self, data: bytes) -> bytes:
        """Gather the answer to the Upgrade; returns the bytes behind it."""
        head = cast("bytes", self._head) + data
        end = head.find(b"\r\n\r\n")
        if end < 0:
            if len(head) > HEAD_MAX:
                raise LinkError("what answers there is no ringserve worker")
            self._head = head
            return b""
        self._head = None
        status = head.split(b" ", 2)[1] if head.startswith(b"HTTP/1.1 ") else b""
        if status == b"503":
            raise NotReady("the worker takes no link now")
        if status != b"101":
            raise LinkError("what answers there is no ringserve worker")
        self._transport.write(frame(Kind.HELLO, encode_gateway_hello(self._address)))
        return head[end + 4 :]

    def _take(self, kind: int, body: bytes, now: float) -> None:
        if kind == Kind.ANSWERS:
            self._take_answers(body, now)
        elif kind == Kind.PONG:
            pong = records.read_pong(body)
            self._router.depth(self._index, pong.depth)
            self._router.pong(self._index, pong.run_age_s, pong.slowest_run_s, pong.runs_finished, now)
        elif kind == Kind.GOING_AWAY:
            self._router.going_away(self._index, now)
        elif not self.up:
            hello = decode_worker_hello(body)
            self.up = True
            self.greeted.set_result(None)
            self._router.link_up(self._index, hello, now)

    def _take_answers(self, body: bytes, now: float) -> None:
        depth, answers = records.read_answers(body)
        router, index = self._router, self._index
        router.depth(index, depth)
        for record in answers:
            if record.status >= records.FIRST_ERROR:
                router.refused(index, record.id, records.error_of(record), now)
                continue
            layout = self._layouts.get(record.layout) or self._layout(record.layout)
            if len(record.payload) != layout.payload_size >= 0:
                raise LinkError(f"an answer has {len(record.payload)} bytes for {layout.payload_size}")
            result = Result(layout, record.payload)
            router.answered(index, record.id, result, record.status == records.CACHED, record.time, now)

    def _layout(self, encoded: bytes) -> ResultLayout:
        try:
            layout = ResultLayout.decode(encoded)
        except ValueError as error:
            raise LinkError(f"an answer's layout cannot be read: {error}") from error
        if len(self._layouts) < LAYOUTS_MAX:
            self._layouts[encoded] = layout
        return layout


def split_address(address: str) -> tuple[str, int]:
    """Host and port of `host:port` or `[v6]:port`."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


async def keep_link(
    router: Router, index: int, address: str, links: dict[int, LinkClient], timeout_s: float
) -> None:
    """Hold a link to a worker for ever: connect, wait until it is lost, connect again with back-off."""
    loop = asyncio.get_running_loop()
    host, port = split_address(address)
    backoff_s = BACKOFF_FIRST_S
    while True:
        link = LinkClient(router, index, address)
        links[index] = link
        try:
            async with asyncio.timeout(timeout_s):
                await loop.create_connection(lambda link=link: link, host, port)  # type: ignore[misc]
                await link.greeted
        except NotReady:
            await asyncio.sleep(NOT_READY_RETRY_S)
            continue
        except (OSError, LinkError, TimeoutError) as error:
            link.abort()
            log.debug("no link to %s: %s", address, error)
            router.connect_failed(index, monotonic(), refused=isinstance(error, ConnectionRefusedError))
            await asyncio.sleep(backoff_s)
            backoff_s = min(BACKOFF_MAX_S, backoff_s * 2)
            continue
        backoff_s = BACKOFF_FIRST_S
        await link.closed
