"""One run, many waiters: equal requests wait for the computation that is already going.

A flight belongs to all its calls alike: whoever came first has no special part, so a caller who leaves
or runs out of time never hurts the others. A flight nobody waits for is not started; one that runs
goes on, since its answer will be remembered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ringserve.core.call import Call
    from ringserve.core.signature import Key, Signature
    from ringserve.core.slices import Whole


class Flight:
    """One computation and the calls that wait for it.

    Attributes:
        calls: Who waits, in order of arrival; empty once everybody left. No list: that a crowd leaves one by
            one must not cost the square of its number (24 s for 25,000 of 50,000).
        queued_at: When it was queued, in seconds of the brain's clock.
        rows: Items it takes in a queue and a run; at least 1, so that an empty tensor is not overlooked.
        running: Whether the engine has it.
        whole: What runs in slices, of it and of its slices; None for a flight that is one run.
    """

    __slots__ = ("calls", "key", "payload", "queued_at", "rows", "running", "signature")
    whole: Whole | None = None

    def __init__(self, call: Call, now: float) -> None:
        """Begin with the first call."""
        self.key = call.key
        self.signature: Signature = call.signature
        self.payload = call.payload
        self.rows = max(1, call.signature.rows)
        self.queued_at = now
        self.running = False
        self.calls: dict[Call, None] = {call: None}
        call.flight = self

    def waiting(self) -> Sequence[Flight]:
        """What of it is in the queue."""
        return () if self.running else (self,)


@dataclass(frozen=True, slots=True)
class SingleFlightStatistics:
    """Flights at one moment.

    Attributes:
        joinable: Flights that may be joined.
        joins: Calls that joined one.
    """

    joinable: int
    joins: int


class SingleFlight:
    """The flights that may be joined, by key."""

    __slots__ = ("_flights", "joins")

    def __init__(self) -> None:
        """Begin empty."""
        self._flights: dict[Key, Flight] = {}
        self.joins = 0

    def __len__(self) -> int:
        """How many flights may be joined."""
        return len(self._flights)

    def try_join(self, call: Call) -> bool:
        """Let the call wait for a flight of its key; False when there is none."""
        flight = self._flights.get(call.key)
        if flight is None:
            return False
        flight.calls[call] = None
        call.flight = flight
        self.joins += 1
        return True

    def open(self, flight: Flight) -> None:
        """Let others join this flight from now on."""
        self._flights[flight.key] = flight

    def close(self, flight: Flight) -> None:
        """Let nobody join it any more; a flight that was never open is no error."""
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]

    def statistics(self) -> SingleFlightStatistics:
        """How many there are and were."""
        return SingleFlightStatistics(len(self._flights), self.joins)


def leave(call: Call) -> Flight | None:
    """Take a call off its flight; returns the flight if nobody waits for it any more."""
    flight = call.flight
    if flight is None:
        return None
    call.flight = None
    del flight.calls[call]
    return None if flight.calls else flight


def expired(flights: Iterable[Flight], now: float) -> list[Call]:
    """The calls of these flights whose deadline has passed."""
    return [call for flight in flights for call in flight.calls if call.deadline <= now]
