"""How a client connection is refused: answered once, in its turn, and closed gently.

The half of `fast_path.HttpProtocol` that ends a connection. What is pending before the refused request is
answered first; the refused request itself is answered by the refusal alone, also where uvicorn had begun it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ringserve.net.outcomes import COUNTED
from ringserve.net.replies import error_body, response

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from ringserve.errors import ServeError
    from ringserve.net.http_call import HttpCall, Reply
    from ringserve.net.listener import Listener

LINGER_S = 1.0
"""How long a caller who still sends may go on before the connection is closed under it."""


class Busy:
    """Stands for an unfinished answer, so that uvicorn queues what comes behind fast calls."""

    response_complete = False
    keep_alive = True
    disconnected = False

    def __init__(self) -> None:
        self.message_event = asyncio.Event()


class Refusals(HttpToolsProtocol):
    """A connection's pending answers, as far as a refusal must know them."""

    def __init__(self, listener: Listener) -> None:
        """Begin with nothing pending."""
        super().__init__(listener.config, listener.server_state, {}, asyncio.get_running_loop())
        self._listener = listener
        self._replies: deque[Reply | HttpCall] = deque()
        self._body: list[bytes] | None = None
        self._in_head = False
        self._in_ordinary = False
        self._ordinary_count = 0
        self._refusal: bytes | None = None
        self._refused = False
        self._ended = False
        self.url = b""

    def _ordinary_cycle(self) -> RequestResponseCycle | None:
        """The ordinary answer that is under way; uvicorn keeps the last one, and none before the first."""
        cycle = cast("RequestResponseCycle | Busy | None", self.cycle)
        return None if cycle is None or isinstance(cycle, Busy) or cycle.response_complete else cycle

    def _refuse_long(self, part: str, size: int) -> bool:
        if size <= self._listener.head_max:
            return False
        self._refuse(431, f"the {part} of the request is longer than {self._listener.head_max} bytes")
        return True

    def refuse_slow(self, part: str) -> None:
        """The head or the body took too long to arrive."""
        self._refuse(408, f"the {part} of the request took too long to arrive")

    def _refuse(self, status: int, sentence: str, error: ServeError | None = None) -> None:
        """Answer and close; what is pending before it is answered first, what comes after is not read.

        `error` adds the headers that belong to it.
        """
        if self._refused or self._ended or self.transport.is_closing():
            return
        self._refused = True
        self._in_head = False
        self._body = None
        self._refusal = response(status, self._listener.head, error_body(sentence), error=error, close=True)
        if self._in_ordinary:
            cycle = self._ordinary_cycle()
            if cycle is None:  # a page, answered before the end of a body that nobody reads
                self._refusal = b""
            else:
                self._forget(cycle)
        if self._refusal:
            self._listener.outcomes.of_url(self.url)[status] += 1
        self._tell_refusal()

    def _forget(self, cycle: RequestResponseCycle) -> None:
        """The request that is being read is the one that is refused: nobody else answers it."""
        self._ordinary_count -= 1
        cycle.disconnected = True
        cast("dict[str, object]", cycle.scope)[COUNTED] = True
        cycle.message_event.set()
        if self.pipeline and self.pipeline[0][0] is cycle:
            self.pipeline.popleft()

    def _tell_refusal(self) -> None:
        if self._refusal is None or self._replies or self._ordinary_count > 0 or self._ended:
            return
        self._ended = True
        if not self.transport.is_closing():
            self.transport.write(self._refusal)
            self._close_gently()

    def _close_gently(self) -> None:
        """Say that nothing more comes and discard what still arrives: to close now would reset the answer."""
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.loop.call_later(LINGER_S, self.transport.close)
        else:
            self.transport.close()
