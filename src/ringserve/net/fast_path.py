"""uvicorn's HTTP protocol with a fast path for the plain case of the hot route.

This is the one file that touches uvicorn's inner parts. A plain `POST` of a hot route (HTTP/1.1, a
Content-Length, no Expect, Upgrade, query or escape) is answered without scope, task or timer. Everything
else takes uvicorn's ordinary way to the ASGI app. Answers keep the order of their requests: while fast calls
are pending, an ordinary request waits in uvicorn's own pipeline, and while an ordinary one runs, a hot route
goes the ordinary way too.

What of uvicorn is owned here: an Upgrade that is not ours is ignored and its body kept; a head is bounded in
bytes and time; Content-Length beside Transfer-Encoding, and codings other than chunked, are refused; every
refusal is JSON; callers who leave are told to the backend; shutdown waits for fast calls.

(Over 300 lines because uvicorn's callbacks must stand together to be read as one state machine.)
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ringserve.errors import BadRequest, ServeError, TooLarge
from ringserve.limits import PIPELINE_MAX
from ringserve.net.deadline_header import deadline_of
from ringserve.net.http_call import HttpCall, Reply
from ringserve.net.outcomes import LEFT
from ringserve.net.read_flow import ReadFlow
from ringserve.net.replies import error_body, response
from ringserve.wire.hello import PROTOCOL

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from ringserve.net.listener import Listener

UPGRADE_ANSWER = (
    f"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: {PROTOCOL}\r\n\r\n".encode()
)
_PROTOCOL = PROTOCOL.encode()
LINGER_S = 1.0
"""How long a caller who still sends may go on before the connection is closed under it."""


class _Busy:
    """Stands for an unfinished answer, so that uvicorn queues what comes behind fast calls."""

    response_complete = False
    keep_alive = True
    disconnected = False

    def __init__(self) -> None:
        self.message_event = asyncio.Event()


class HttpProtocol(HttpToolsProtocol):
    """One client connection."""

    def __init__(self, listener: Listener) -> None:
        """Serve for this listener."""
        super().__init__(listener.config, listener.server_state, {}, asyncio.get_running_loop())
        self._listener = listener
        self._backend = listener.backend
        self._replies: deque[Reply] = deque()
        self._calls: dict[Reply, HttpCall] = {}
        self._body: list[bytes] | None = None
        self.url = b""
        self._ended = False
        self._refused = False
        self._chunk_size = 0
        self._in_head = False
        self._foreign = False
        self._queued_behind = False
        self.active_at = 0.0
        self.head_at = 0.0
        self._clear_head()

    def _clear_head(self) -> None:
        self._head_size = 0
        self._length: bytes | None = None
        self._lengths = 0
        self._coding: bytes | None = None
        self._upgrade: bytes | None = None
        self._timeout: bytes | None = None

    # uvicorn's and asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, unless there are too many."""
        super().connection_made(cast("asyncio.Transport", transport))
        self.flow = self._reading = ReadFlow(self.transport)
        self.active_at = monotonic()
        if len(self.connections) > self._listener.connections_max:
            self._refuse(503, "too many connections are open; come again later")

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the backend that nobody waits any more."""
        calls, self._calls = self._calls, {}
        self._replies.clear()
        self._refused = self._ended = True
        for call in calls.values():
            call.reply.counts[LEFT] += 1
            self._backend.cancel(call)
        if isinstance(self.cycle, _Busy):
            self.cycle = cast("Any", None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser."""
        if self._refused:
            return
        self._chunk_size = len(data)
        if self.timeout_keep_alive_task is not None:
            self._unset_keepalive_if_required()
        self.active_at = monotonic()
        head = self.headers if self._in_head else None
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgraded(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._refuse(400, f"the request is not valid HTTP: {error}")
        if self._in_head and self.headers is head:  # nothing but this one head was in these bytes
            self._head_size += len(data)
            self._refuse_long_head(self._head_size)
        if len(self._replies) + len(self.pipeline) > PIPELINE_MAX:
            self._look_whether_to_read()

    def on_message_begin(self) -> None:
        """Begin a head; uvicorn's own bookkeeping is built only for requests that go its way."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._in_head = True
        self.head_at = self.active_at
        self._clear_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a header, and those that matter here."""
        name = name.lower()
        self.headers.append((name, value))
        if name == b"content-length":
            self._length = value
            self._lengths += 1
        elif name == b"transfer-encoding":
            self._coding = value.lower() if self._coding is None else self._coding + b"," + value.lower()
        elif name == b"expect":
            self.expect_100_continue = value.lower() == b"100-continue"
        elif name == b"upgrade":
            self._upgrade = value.lower()
        elif name == b"x-request-timeout-ms":
            self._timeout = value

    def on_headers_complete(self) -> None:
        """Refuse, upgrade, or choose the way."""
        self._in_head = False
        if self._refused:
            return
        # One read may hold a whole head that is too long.
        long_read = self._chunk_size > self._listener.head_max
        if long_read and self._refuse_long_head(sum(len(name) + len(value) for name, value in self.headers)):
            return
        refusal = self._head_refusal()
        if refusal is not None:
            self._refuse(refusal.status, refusal.message)
            return
        if self.parser.should_upgrade():
            self._foreign = self._upgrade != _PROTOCOL
            return
        if self._is_fast():
            self._body = []
        else:
            self._take_ordinary_way()

    def on_body(self, body: bytes) -> None:
        """Gather a fast call's body; uvicorn gathers the others."""
        if self._body is not None:
            self._body.append(body)
        elif not (self._refused or self.parser.should_upgrade()):
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Hand a fast call over; uvicorn hands over the others."""
        parts = self._body
        if parts is not None:
            self._body = None
            self._accept(parts[0] if len(parts) == 1 else b"".join(parts))
        elif not (self._refused or self.parser.should_upgrade()):
            super().on_message_complete()

    def shutdown(self) -> None:
        """Drain: close after what is pending; an idle connection is left to the listener's sweep."""
        cycle = self._ordinary_cycle()
        if cycle is not None:
            cycle.default_headers = self._listener.server_state.default_headers  # they say "close" now
            cycle.keep_alive = False

    def pause_writing(self) -> None:
        """A caller who does not read is not read from either: what waits for it stays bounded."""
        super().pause_writing()
        self._look_whether_to_read()

    def resume_writing(self) -> None:
        """It reads again."""
        super().resume_writing()
        self._look_whether_to_read()

    def on_response_complete(self) -> None:
        """An ordinary answer is done: the next one begins."""
        super().on_response_complete()
        self._look_whether_to_read()

    def _look_whether_to_read(self) -> None:
        if not (self._ended or self.transport.is_closing()):
            self._reading.look(len(self._replies) + len(self.pipeline))

    @property
    def idle(self) -> bool:
        """Whether no request is being read or answered."""
        busy = self._ordinary_cycle() is not None
        return not (self._replies or self._in_head or self._body is not None or busy)

    @property
    def in_head(self) -> bool:
        """Whether the head of a request is arriving."""
        return self._in_head

    def _ordinary_cycle(self) -> RequestResponseCycle | None:
        """The ordinary answer that is under way; uvicorn keeps the last one, and none before the first."""
        cycle = cast("RequestResponseCycle | _Busy | None", self.cycle)
        return None if cycle is None or isinstance(cycle, _Busy) or cycle.response_complete else cycle

    # The fast path

    def _is_fast(self) -> bool:
        return (
            self.url in self._listener.hot_paths
            and self._coding is None
            and self._length is not None
            and not self.expect_100_continue
            and self._ordinary_cycle() is None
            and not self.pipeline
            and self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
        )

    def _accept(self, body: bytes) -> None:
        now = self.active_at
        reply = Reply(not self.parser.should_keep_alive(), self._listener.hot_paths[self.url])
        self._replies.append(reply)
        try:
            deadline = deadline_of(self._timeout, now, self._backend.request_timeout_s)
            codec = self._backend.codec()
            request = codec.decode(body)
        except ServeError as error:
            self._settle(reply, error.status, error_body(error.message), error)
            return
        request_id = request.request_id
        if request_id is None:
            request_id = self._listener.new_request_id()
        call = HttpCall(self, reply, codec, request, request_id, (now, deadline))
        self._calls[reply] = call
        self._backend.submit(call, monotonic())

    def complete_error(self, call: HttpCall, error: ServeError) -> None:
        """A call failed."""
        self.complete(call, error.status, error_body(error.message), error)

    def complete(self, call: HttpCall, status: int, body: bytes, error: ServeError | None) -> None:
        """A call is answered; the bytes leave when all before it have left."""
        if self._calls.pop(call.reply, None) is not None:
            self._settle(call.reply, status, body, error)

    def _settle(self, reply: Reply, status: int, body: bytes, error: ServeError | None) -> None:
        reply.done = (status, body, error)
        reply.counts[status] += 1
        replies = self._replies
        out = []
        while replies and replies[0].done is not None:
            first = replies.popleft()
            done = cast("tuple[int, bytes, ServeError | None]", first.done)
            close = first.close or (self._listener.draining and not replies and not self.pipeline)
            out.append(response(done[0], self._listener.head, done[1], error=done[2], close=close))
            if close:
                self._refused = self._ended = True
                break
        if out:
            self.transport.write(out[0] if len(out) == 1 else b"".join(out))
        if self._ended:
            self._close_gently()
        elif not replies and self._queued_behind:
            self._queued_behind = False
            self.on_response_complete()  # starts the ordinary request that waited behind fast ones
        elif self._reading.held:
            self._look_whether_to_read()

    def _close_gently(self) -> None:
        """Say that nothing more comes and discard what still arrives: to close now would reset the answer."""
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.loop.call_later(LINGER_S, self.transport.close)
        else:
            self.transport.close()

    # The ordinary way

    def _take_ordinary_way(self) -> None:
        url, headers, expect = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.headers, self.expect_100_continue = url, headers, expect
        self.scope["headers"] = headers
        if self._replies and self._ordinary_cycle() is None:
            self.cycle = cast("Any", _Busy())
            self._queued_behind = True
        try:
            super().on_headers_complete()
        except (httptools.HttpParserError, UnicodeDecodeError) as error:
            self._refuse(400, f"the request's address cannot be read: {error}")

    def _upgraded(self, rest: bytes) -> None:
        """The head asked for another protocol: ours opens a link, any other is ignored."""
        if self._refused:
            return
        if self._foreign:
            self._foreign = False
            head = [
                b"%b %b HTTP/%b"
                % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
            ]
            dropped = (b"upgrade", b"connection", b"http2-settings")
            head += [b"%b: %b" % header for header in self.headers if header[0] not in dropped]
            self.parser = httptools.HttpRequestParser(self)
            self.data_received(b"\r\n".join([*head, b"", b""]) + rest)
            return
        link = self._backend.link_protocol()
        if link is None:
            self._refuse(503, "no link can be opened here now")
            return
        self._refused = self._ended = True
        self.connections.discard(self)
        self.transport.write(UPGRADE_ANSWER)
        self.transport.set_protocol(link)
        link.connection_made(self.transport)
        if rest:
            link.data_received(rest)

    # Refusals

    def _head_refusal(self) -> ServeError | None:
        if self._coding is not None:
            if self._length is not None:
                return BadRequest("a request has Content-Length or Transfer-Encoding, not both")
            if self._coding.strip() != b"chunked":
                return BadRequest("Transfer-Encoding must be chunked")
        if self._lengths > 1:
            return BadRequest("a request has one Content-Length")
        if (
            self._length is not None
            and self._length.isdigit()
            and int(self._length) > self._listener.body_max
        ):
            return TooLarge(
                f"the body has {int(self._length)} bytes, this server takes {self._listener.body_max}; "
                "send less or raise --max-body-mb"
            )
        return None

    def _refuse_long_head(self, size: int) -> bool:
        if size <= self._listener.head_max:
            return False
        self._refuse(431, f"the head of the request is longer than {self._listener.head_max} bytes")
        return True

    def refuse_slow_head(self) -> None:
        """The head took too long to arrive."""
        self._refuse(408, "the head of the request took too long to arrive")

    def _refuse(self, status: int, sentence: str) -> None:
        """Answer and close; what is pending before it is answered first, what comes after is not read."""
        if self._refused or self._ended or self.transport.is_closing():
            return
        self._refused = True
        self._in_head = False
        self._body = None
        reply = Reply(close=True, counts=self._listener.outcomes.of_url(self.url))
        self._replies.append(reply)
        if (cycle := self._ordinary_cycle()) is not None:
            cycle.keep_alive = False  # its answer is on the way and must not be cut; it closes then
            self._ended = True
            return
        self._settle(reply, status, error_body(sentence), None)
