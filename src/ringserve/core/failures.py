"""How many calls failed, by error."""

from __future__ import annotations

from ringserve.errors import ANSWERS, ServeError


class Failures:
    """Counts the errors that calls are answered with.

    Attributes:
        total: All of them.
    """

    __slots__ = ("_by_error", "total")

    def __init__(self) -> None:
        """Begin with none of any."""
        self._by_error = dict.fromkeys(ANSWERS, 0)
        self.total = 0

    def count(self, error: ServeError) -> None:
        """Count a failed call."""
        kind = type(error)
        self._by_error[kind] = self._by_error.get(kind, 0) + 1
        self.total += 1

    def statistics(self) -> dict[str, int]:
        """By name of the error, those that never came included."""
        return {kind.__name__: count for kind, count in self._by_error.items()}
