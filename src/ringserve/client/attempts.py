"""Whether and when a call that failed is tried again.

| what came | again |
|---|---|
| nobody listens, no connection comes about | after a pause, which doubles |
| a kept connection was closed before any byte of an answer, or with a 408 | at once on a new one, uncounted |
| a new connection was lost before any byte of an answer | after a pause, unless it may be sent once only |
| 429, 503 | after the time the server names, or else the pause |
| anything else: 4xx, 500, 504, a part of an answer | never |

Inference has no side effects, so that to send it twice is safe; to load or unload a model is sent again only
where it cannot have arrived. No pause may reach beyond the deadline: then the error is raised at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringserve.client.errors import ClientError, ConnectionFailed, Overloaded, RequestRefused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

PAUSE_FIRST_S = 0.05
PAUSE_MAX_S = 2.0
_IDLE = 408


class Attempts:
    """The attempts of one call."""

    __slots__ = ("_chance", "_deadline", "_left", "_made", "_renewed", "_repeatable")

    def __init__(
        self, retries: int, deadline: float, chance: Callable[[], float], *, repeatable: bool
    ) -> None:
        """Begin before the first.

        Args:
            retries: How often it may be tried again.
            deadline: When it is too late, in seconds.
            chance: A number from 0 to 1, another each time: callers that failed together come again apart.
            repeatable: Whether it may be sent again when nobody knows what became of it.
        """
        self._left = retries
        self._deadline = deadline
        self._chance = chance
        self._repeatable = repeatable
        self._made = 0
        self._renewed = False

    @property
    def fresh(self) -> bool:
        """Whether the next attempt needs a new connection: no kept one is known to be alive."""
        return self._renewed or not self._repeatable

    def pause_after(self, error: ClientError, now: float, *, kept: bool) -> float:
        """How long to wait before the next attempt, in seconds.

        Args:
            error: What came of the last one.
            now: The time, in seconds.
            kept: Whether it went over a connection that had been used before.

        Raises:
            ClientError: The same error, where there is no next attempt.
        """
        if kept and not self._renewed and self._is_stale(error):
            self._renewed = True
            return 0.0
        if self._left <= 0 or not self._is_safe(error):
            raise error
        pause_s = self._pause(error)
        if now + pause_s >= self._deadline:
            raise error
        self._left -= 1
        self._made += 1
        return pause_s

    @staticmethod
    def _is_stale(error: ClientError) -> bool:
        """Whether the server had given the connection up; some say so with a 408 when it has been idle."""
        if isinstance(error, RequestRefused):
            return error.status == _IDLE
        return isinstance(error, ConnectionFailed) and not error.answering

    def _is_safe(self, error: ClientError) -> bool:
        if isinstance(error, ConnectionFailed):
            return not error.answering and (self._repeatable or not error.sent)
        return isinstance(error, Overloaded | Unavailable)

    def _pause(self, error: ClientError) -> float:
        if isinstance(error, RequestRefused) and error.retry_after_s is not None:
            return error.retry_after_s
        return float(min(PAUSE_FIRST_S * 2**self._made, PAUSE_MAX_S) * (0.5 + self._chance() / 2))
