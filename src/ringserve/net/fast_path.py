"""uvicorn's HTTP protocol with a fast path for the plain case of the hot route.

This file, `ordered_replies` and `refusals` are the only ones that touch uvicorn's inner parts. A plain `POST`
of a hot route (HTTP/1.1, a Content-Length, no Expect, Upgrade, query or escape) is answered without scope,
task or timer, and without the parser where its head is known already. Everything else takes uvicorn's
ordinary way to the ASGI app. Answers keep the order of their requests: while fast calls are pending, an
ordinary request waits in uvicorn's own pipeline, and while an ordinary one runs, a hot route goes the
ordinary way too.

What of uvicorn is owned here: an Upgrade that is not ours is ignored and its body kept; a head is bounded in
bytes and time, a body in time; trailers are no headers; what `head_rules` forbids is refused; every refusal
is JSON; callers who leave are told to the backend; shutdown waits for fast calls.

(Over 300 lines because uvicorn's callbacks must stand together to be read as one state machine.)
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

import httptools

from ringserve.errors import Forbidden, ServeError
from ringserve.limits import BODY_RATE_MIN, LARGE_BODY_BYTES, PIPELINE_MAX
from ringserve.net.cache_control import wants_fresh
from ringserve.net.guard import is_open
from ringserve.net.head_rules import refusal_of, without_offer
from ringserve.net.http_call import HttpCall, Reply
from ringserve.net.key_ring import SALT, KeyCheck
from ringserve.net.ordered_replies import OrderedReplies
from ringserve.net.outcomes import LEFT
from ringserve.net.plain_head import PlainHead
from ringserve.net.read_flow import ReadFlow
from ringserve.net.refusals import Busy
from ringserve.net.replies import error_body, upgrade_answer
from ringserve.wire.hello import PROTOCOL

if TYPE_CHECKING:
    from ringserve.core.signature import Salt
    from ringserve.net.hot_paths import HotPath
    from ringserve.net.link_server import LinkServer
    from ringserve.net.listener import Listener

log = logging.getLogger(__name__)
_PROTOCOL = PROTOCOL.encode()
_OF_INFERENCE = frozenset(
    {b"cache-control", b"content-encoding", b"accept-encoding", b"inference-header-content-length"}
)


class HttpProtocol(OrderedReplies):
    """One client connection."""

    def __init__(self, listener: Listener) -> None:
        """Serve for this listener."""
        super().__init__(listener)
        self._backend = listener.backend
        self._check = None if listener.keys is None else KeyCheck(listener.keys)
        self.salt: Salt | None = None
        self._chunk_size = 0
        self._between = True
        self._lone: PlainHead | None = None
        self._hot: HotPath | None = None
        self._foreign = False
        self._body_size = 0
        self._tail_size = 0
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
        self._json_size: str | None = None
        self._fresh = self._packed = self._packs = False

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
        replies, self._replies = self._replies, deque()
        self._refused = self._ended = True
        for reply in replies:
            if isinstance(reply, HttpCall) and reply.done is None:
                reply.counts[LEFT] += 1
                self._backend.cancel(reply)
        if isinstance(self.cycle, Busy):
            self.cycle = cast("Any", None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser."""
        if self._refused:
            return
        if self.timeout_keep_alive_task is not None:
            self._unset_keepalive_if_required()
        self.active_at = monotonic()
        between = self._between
        if between and not self.pipeline and self._ordinary_cycle() is None:
            requests, used = self._listener.known_heads.cut(data, self._check)
            for body, known, salt in requests:
                if not self._refused:
                    self.salt = salt
                    self._accept(body, known, close=False)
            data = data[used:]
        if data and not self._refused:
            self._feed(data)
            if between and self._lone is not None:
                self._listener.known_heads.learn(data, self._lone)
        if len(self._replies) + len(self.pipeline) > PIPELINE_MAX:
            self._look_whether_to_read()

    def _feed(self, data: bytes) -> None:
        self._lone = None
        self._chunk_size = len(data)
        head = self.headers if self._in_head else None
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgraded(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError:
            log.exception("a request failed in an unforeseen way")
            self._refuse(500, "the server failed on this request; its log says why")
        except httptools.HttpParserError as error:
            self._refuse(400, f"the request is not valid HTTP: {error}")
        if self._in_head and self.headers is head:  # nothing but this one head was in these bytes
            self._head_size += len(data)
            self._refuse_long("head", self._head_size)
        elif self._coding is not None and not self._in_head:  # sizes of chunks and trailers, without a body
            self._tail_size += len(data)
            self._refuse_long("trailer", self._tail_size)

    def on_message_begin(self) -> None:
        """Begin a head; uvicorn's own bookkeeping is built only for requests that go its way."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._in_head = True
        self._between = False
        self._lone = None
        self.head_at = self.active_at
        self._clear_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a header, and those that matter here."""
        if not self._in_head:
            return  # a trailer: nobody reads one, and none may pass for a header
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
        elif name in _OF_INFERENCE:
            self._note(name, value)

    def _note(self, name: bytes, value: bytes) -> None:
        if name == b"cache-control":
            self._fresh = self._fresh or wants_fresh(value.decode("latin-1"))
        elif name == b"content-encoding":
            self._packed = True
        elif name == b"accept-encoding":
            self._packs = self._packs or b"gzip" in value.lower() or b"deflate" in value.lower()
        else:
            self._json_size = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Refuse, upgrade, or choose the way."""
        self._in_head = False
        if self._refused:
            return
        # One read may hold a whole head that is too long.
        long_read = self._chunk_size > self._listener.head_max
        if long_read and self._refuse_long("head", self._head_length()):
            return
        version, method, length = self.parser.get_http_version(), self.parser.get_method(), self._length
        body_max = self._listener.body_max
        refusal = refusal_of(version, method, self._coding, length, self._lengths, body_max)
        if refusal is not None:
            self._refuse(refusal.status, refusal.message)
            return
        if self.parser.should_upgrade():
            self._foreign = self._upgrade != _PROTOCOL
            return
        if self._check is not None and self._refuse_stranger(self._check):
            return
        if method == b"POST" and version == "1.1" and self._is_fast():
            self._body = []
        else:
            self._take_ordinary_way()

    def on_body(self, body: bytes) -> None:
        """Gather a fast call's body; uvicorn gathers the others."""
        if self._body is not None:
            self._body.append(body)
        elif not (self._refused or self.parser.should_upgrade()):
            self._body_size += len(body)
            self._tail_size = -self._chunk_size
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Hand a fast call over; uvicorn hands over the others."""
        parts = self._body
        self._between = True
        if parts is not None:
            self._body = None
            body = parts[0] if len(parts) == 1 else b"".join(parts)
            close = not self.parser.should_keep_alive()
            hot = cast("HotPath", self._hot)
            head = PlainHead(len(body), hot, self._timeout, self._json_size, self._fresh, self.headers)
            self._lone = None if close else head
            self._accept(body, head, close=close)
        elif not (self._refused or self.parser.should_upgrade()):
            self._in_ordinary = False
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
        self._ordinary_count -= 1
        super().on_response_complete()
        self._look_whether_to_read()
        self._tell_refusal()

    def _refuse_stranger(self, check: KeyCheck) -> bool:
        refusal = None if is_open(self.url) else check.refusal_of(self.headers)
        if refusal is not None:
            self._refuse(refusal.status, refusal.message, refusal)
            return True
        self.salt = check.salt
        return False

    def _head_length(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    @property
    def idle(self) -> bool:
        """Whether no request is being read or answered."""
        busy = self._ordinary_cycle() is not None
        return not (self._replies or self._in_head or self._body is not None or busy)

    @property
    def in_head(self) -> bool:
        """Whether the head of a request is arriving."""
        return self._in_head

    def body_is_late(self, now: float) -> bool:
        """Whether a body arrives too slowly; while it is not read from, the clock stands."""
        parts = self._body
        if self._in_head or (parts is None and not self._in_ordinary):
            return False
        if self.flow.read_paused:
            self.head_at = now
        size = self._body_size if parts is None else sum(map(len, parts))
        return now - self.head_at > self._listener.body_timeout_s + size / BODY_RATE_MIN

    # The fast path

    def _is_fast(self) -> bool:
        self._hot = hot = self._listener.hot_paths.find(self.url)
        return (
            hot is not None
            and not self._packed
            and not (self._packs and hot.packs)
            and self._coding is None
            and self._length is not None
            and int(self._length) <= LARGE_BODY_BYTES
            and not self.expect_100_continue
            and self._ordinary_cycle() is None
            and not self.pipeline
        )

    def _accept(self, body: bytes, head: PlainHead, *, close: bool) -> None:
        path = head.path
        try:
            call = path.call(body, head, self.salt, self.active_at)
        except ServeError as error:
            reply = Reply(close, path.counts)
            self._replies.append(reply)
            # Its frames hold the reply and the body, and the reply the error: a circle of 64 MB perhaps.
            self._settle(reply, error.status, error_body(error.message), error.without_frames())
            return
        call.protocol = self
        call.close = close
        call.counts = path.counts
        call.fresh = head.fresh
        self._replies.append(call)
        self._backend.submit(call, monotonic())

    # The ordinary way

    def _take_ordinary_way(self) -> None:
        url, headers, expect = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.headers, self.expect_100_continue = url, headers, expect
        self.scope["headers"] = headers
        cast("dict[str, object]", self.scope)[SALT] = self.salt
        if self._replies and self._ordinary_cycle() is None:
            self.cycle = cast("Any", Busy())
            self._queued_behind = True
        try:
            if httptools.parse_url(url).path is None:  # such as http://host: uvicorn would stumble over it
                raise UnicodeError("it has no path")  # noqa: TRY301 - one sentence for all that is wrong with it
            super().on_headers_complete()
        except (httptools.HttpParserError, UnicodeError) as error:
            self._refuse(400, f"the request's address cannot be read: {str(error)[:200]}")
            return
        self._in_ordinary = True
        self._ordinary_count += 1
        self._body_size = 0
        self._tail_size = -self._chunk_size

    def _upgraded(self, rest: bytes) -> None:
        """The head asked for another protocol: ours opens a link, any other is ignored."""
        if self._refused:
            return
        if self._foreign:
            self._foreign = False
            parser, self.parser = self.parser, httptools.HttpRequestParser(self)
            version = parser.get_http_version()
            self.data_received(without_offer(parser.get_method(), self.url, version, self.headers) + rest)
            return
        if self._replies or self._ordinary_count:
            self._refuse(400, "a link begins a connection; it does not follow requests")
            return
        link = self._backend.link_protocol()
        if link is None:
            self._refuse(503, "no link can be opened here now")
            return
        try:
            challenge = self._listener.guard.challenge(self.headers)
        except Forbidden as error:
            self._refuse(error.status, error.message)
            return
        self._refused = self._ended = True
        self.connections.discard(self)
        self.transport.write(upgrade_answer(() if challenge is None else challenge.answer()))
        if challenge is not None:
            cast("LinkServer", link).challenge = challenge
        self.transport.set_protocol(link)
        link.connection_made(self.transport)
        if rest:
            link.data_received(rest)
