"""A worker that has just refused for want of room: what need not be asked of it for a moment.

Under an overload most requests are refused, and a refusal that travels to the worker and back costs both
ends the time in which answers are made: measured with ten times the load that two workers can carry, on two
cores that the callers share, refusals took 11 % of the machine. So a gateway refuses by itself what a
worker would refuse. After a refusal the worker is sent

- what fills its queue up to the rows that waited there when it refused, by what it reports and is sent;
- and one row more in each `WINDOW_S`, since what it takes may have changed: a run may have been quicker than
  foretold. While nothing is refused this number doubles from window to window. At `ROWS_MAX`, or when
  the queue has become much shorter, or nobody has asked for a whole window, the refusal is forgotten.

What the worker would not refuse is sent to it all the same: a key it is running (the router follows those),
and a key it may remember. The keys of its last computed answers are kept for that, the newest `KEYS_MAX`: a
worker's cache gains exactly those, in this order, from this gateway. A key that was computed for another
gateway, or longer ago, may be refused though its answer is remembered: that is what an overload costs.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from ringserve.errors import QueueFull, WaitTooLong

if TYPE_CHECKING:
    from ringserve.core.call import Call
    from ringserve.core.signature import Signature
    from ringserve.errors import ServeError

WINDOW_S = 0.02
"""How often a worker is asked that refused and whose queue became no shorter."""

ROWS_MAX = 64
"""A worker that takes so many rows more than its queue has lost, in one window, is not full."""

FALL = 0.875
"""The share of its depth at the refusal below which a worker has room again."""

KEYS_MAX = 4096
"""Keys of computed answers that are kept for each worker."""


class Fullness:
    """What one worker's last refusal says about the next request.

    Attributes:
        rows: Requests of at least so many rows are refused; 0 while nothing is known: looked at first.
        turned_away: Requests refused without asking the worker.
    """

    __slots__ = (
        "_answered",
        "_depth",
        "_error",
        "_known",
        "_model",
        "_more",
        "_room",
        "_until",
        "rows",
        "turned_away",
    )

    def __init__(self) -> None:
        """Begin with room."""
        self.rows = 0
        self.turned_away = 0
        self._until = 0.0
        self._depth = 0
        self._room = 0
        self._more = 1
        self._model = ("", "")
        self._error: ServeError | None = None
        self._answered: deque[bytes] = deque(maxlen=KEYS_MAX)
        self._known: set[bytes] | None = None

    def answered(self, key: bytes) -> None:
        """The worker computed an answer, which it may remember. 0.05 us."""
        self._answered.append(key)
        if self._known is not None:
            self._known.add(key)

    def refused(self, signature: Signature, depth: int, error: ServeError, now: float) -> None:
        """The worker refused a request, perhaps for want of room.

        Args:
            signature: Of the request: another model of the worker's may have room.
            depth: Rows that wait there, as last reported.
            error: What it said; an error that is none about room changes nothing.
            now: The time.
        """
        if not isinstance(error, QueueFull | WaitTooLong):
            return
        if self._known is None or len(self._known) > 2 * KEYS_MAX:
            self._known = set(self._answered)
        self.rows = signature.rows if isinstance(error, QueueFull) else 1
        self._model = signature.model, signature.version
        self._until = now + WINDOW_S
        self._depth = depth
        self._room = 0
        self._more = 1
        self._error = error

    def reported(self, depth: int) -> None:
        """The worker says how many rows wait there."""
        if not self.rows:
            return
        if depth < FALL * self._depth:
            self.forget()
        else:
            self._room = self._depth - depth

    def sent(self, call: Call, now: float) -> None:
        """A call is sent to the worker all the same: it uses up room, unless it is answered from memory."""
        if self._known is not None and call.key in self._known:
            return
        if now >= self._until + WINDOW_S:
            self.forget()
            return
        if now >= self._until:
            self._until = now + WINDOW_S
            self._depth += self._more
            self._room += self._more
            self._more *= 2
            if self._more > ROWS_MAX:
                self.forget()
                return
        self._room -= call.signature.rows

    def begin_anew(self) -> None:
        """Another link, perhaps another process: it has room, and remembers nothing that is known."""
        self.forget()
        self._answered.clear()

    def forget(self) -> None:
        """It has room, for all that is known."""
        self.rows = 0
        self._error = None
        self._known = None

    def refusal_of(self, call: Call, now: float) -> ServeError | None:
        """What the worker would answer this call; None where it must be asked."""
        if not self.rows or now >= self._until:
            return None
        signature = call.signature
        if signature.rows <= self._room or signature.rows < self.rows:
            return None
        if (signature.model, signature.version) != self._model:
            return None
        if self._known is not None and call.key in self._known:
            return None
        return self._error
