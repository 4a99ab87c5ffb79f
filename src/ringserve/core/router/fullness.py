"""A worker that has just refused for want of room: what need not be asked of it for a moment.

Under an overload most requests are refused, and a refusal that travels to the worker and back costs both
ends the time in which answers are made: measured with ten times the load that two workers can carry, on two
cores that the callers share, refusals took 11 % of the machine. So a gateway refuses by itself what a
worker would refuse: for `WINDOW_S` after the worker did, unless the depth it reports has fallen by then. At
a window's end a request is sent again and finds out. Within a window the queue loses no more than the
window's length of work, and a queue that refuses for its length holds many times that.

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
"""How long a refusal is taken to hold."""

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

    __slots__ = ("_answered", "_depth", "_error", "_known", "_model", "_until", "rows", "turned_away")

    def __init__(self) -> None:
        """Begin with room."""
        self.rows = 0
        self.turned_away = 0
        self._until = 0.0
        self._depth = 0
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
        self._error = error

    def depth_fell(self, depth: int) -> None:
        """Look at a newly reported depth."""
        if self.rows and depth < FALL * self._depth:
            self.forget()

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
        if not self.rows:
            return None
        if now >= self._until:
            # The keys are kept: under an overload the next refusal is a moment away.
            self.rows = 0
            return None
        signature = call.signature
        if signature.rows < self.rows or (signature.model, signature.version) != self._model:
            return None
        if self._known is not None and call.key in self._known:
            return None
        return self._error
