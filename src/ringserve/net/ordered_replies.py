"""The answers of one client connection, which leave in the order of their requests.

The half of `fast_path.HttpProtocol` that writes. Fast calls are answered in any order by the backend; an
ordinary request that came behind them waits in uvicorn's pipeline until they have left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ringserve.net.http_call import HttpCall, Reply
from ringserve.net.refusals import Refusals
from ringserve.net.replies import error_body, response

if TYPE_CHECKING:
    from ringserve.errors import ServeError
    from ringserve.net.http_call import Done
    from ringserve.net.listener import Listener
    from ringserve.net.read_flow import ReadFlow

OK = 200


class OrderedReplies(Refusals):
    """A connection's pending answers, and what is done when one is there."""

    _reading: ReadFlow

    def __init__(self, listener: Listener) -> None:
        """Begin with nothing pending."""
        super().__init__(listener)
        self._queued_behind = False
        self._unread_bytes = 0
        self._unread_since = 0.0

    def complete_error(self, call: HttpCall, error: ServeError) -> None:
        """A call failed."""
        if call.done is None and not self._ended:
            self._settle(call, error.status, error_body(error.message), error)

    def complete(self, call: HttpCall, body: bytes, json_size: int | None = None) -> None:
        """A call is answered; the bytes leave when all before it have left.

        Args:
            call: The call.
            body: Of the answer.
            json_size: Bytes of JSON at its beginning; None where it is nothing else.
        """
        replies = self._replies
        special = call.close or self._queued_behind or self._refusal is not None or self._reading.held
        if len(replies) == 1 and not (special or self._listener.draining or self._ended):
            call.counts[OK] += 1
            replies.clear()
            self.transport.write(response(OK, self._listener.head, body, json_size=json_size))
        elif not self._ended:
            self._settle(call, OK, body, None, json_size)

    def _settle(
        self,
        reply: Reply | HttpCall,
        status: int,
        body: bytes,
        error: ServeError | None,
        json_size: int | None = None,
    ) -> None:
        reply.done = (status, body, error, json_size)
        reply.counts[status] += 1
        replies = self._replies
        out = []
        while replies and replies[0].done is not None:
            first = replies.popleft()
            answer, content, failure, size = cast("Done", first.done)
            close = first.close or (self._listener.draining and not replies and not self.pipeline)
            head = self._listener.head
            out.append(response(answer, head, content, error=failure, close=close, json_size=size))
            if close:
                self._refused = self._ended = True
                break
        if out:
            self.transport.write(out[0] if len(out) == 1 else b"".join(out))
        if self._ended:
            self._close_gently()
            return
        if not replies and self._queued_behind:
            self._queued_behind = False
            super().on_response_complete()  # starts the ordinary request that waited behind fast ones
        if self._reading.held:
            self._look_whether_to_read()
        if self._refusal is not None:
            self._tell_refusal()

    def _look_whether_to_read(self) -> None:
        if not (self._ended or self.transport.is_closing()):
            self._reading.look(len(self._replies) + len(self.pipeline))

    def unread_s(self, now: float) -> float:
        """Seconds for which the caller has taken nothing of what was written; to be asked regularly."""
        unread = self.transport.get_write_buffer_size()
        if unread == 0 or unread < self._unread_bytes or self._unread_bytes == 0:
            self._unread_since = now
        self._unread_bytes = unread
        return now - self._unread_since
