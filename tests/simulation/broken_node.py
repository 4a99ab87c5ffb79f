# ruff: noqa: ANN401 - a broken method takes whatever the right one takes
"""Nodes, caches, flights and batchers broken on purpose, one way each: what the simulation must find."""

from __future__ import annotations

from typing import Any

from ringserve.core.admission import Admission
from ringserve.core.batcher import Batch, Batcher
from ringserve.core.cache import Cache
from ringserve.core.node import Node
from ringserve.core.signature import Result
from ringserve.core.single_flight import SingleFlight
from ringserve.core.slices import Whole, _join
from ringserve.worker.shelf import Shelf
from tests.simulation.breaks import Break, Broken, always

# Single flight, cache, node


def _joins_any_flight(right: Broken) -> Broken:
    def try_join(self: SingleFlight, call: Any) -> bool:
        for flight in self._flights.values():
            if flight.signature.encoded == call.signature.encoded:
                flight.calls[call] = None
                call.flight = flight
                return True
        return False

    return try_join


def _all_leave_with_one(right: Broken) -> Broken:
    def leave(self: Node, call: Any) -> None:
        flight, call.flight = call.flight, None
        if flight is not None:
            flight.calls.clear()

    return leave


def _guesses_in_cache(right: Broken) -> Broken:
    def get(self: Cache[Any], key: bytes) -> Any:
        return next(iter(self._entries.values()))[0] if len(self._entries) > 1 else right(self, key)

    return get


def _fails_the_whole_batch(right: Broken) -> Broken:
    def failed(self: Node, batch: Batch, error: Any) -> None:
        for flight in batch.flights:
            self._flights.close(flight)
            for call in list(flight.calls):
                self._fail(call, error)

    return failed


def _shuffles_a_batch(right: Broken) -> Broken:
    def finished(self: Node, batch: Batch, outcome: Any, now: float) -> None:
        right(self, batch, outcome[::-1] if isinstance(outcome, list) else outcome, now)

    return finished


def _remembers_too_much(right: Broken) -> Broken:
    def put(self: Cache[Any], key: bytes, value: Result, size: int) -> None:
        self._entries[key] = (value, size)

    return put


def _remembers_the_version_before(right: Broken) -> Broken:
    def add(self: Shelf, engine: Any, settings: Any) -> Any:
        former = right(self, engine, settings)
        *before, latest = [served.node.cache for served in self if served.spec.name == engine.spec.name]
        for cache in before:
            for key, (value, size) in cache._entries.items():
                latest.put(key, value, size)
        return former

    return add


# Slices


def _joins_slices_as_they_land(right: Broken) -> Broken:
    def place(self: Whole, part: Any, result: Result) -> Any:
        part.number = len(self._results)
        return right(self, part, result)

    return place


def _answers_before_the_last_slice(right: Broken) -> Broken:
    def place(self: Whole, part: Any, result: Result) -> Any:
        outcome = right(self, part, result)
        return _join([result], [part.rows]) if self.missing == part.rows else outcome

    return place


def _forgets_the_rows_left_over(right: Broken) -> Broken:
    def take(self: Whole, rows: int) -> Any:
        part = right(self, rows)
        self.rows -= self.rows % max(rows, 1)
        return part

    return take


def _leaves_slices_in_the_queue(right: Broken) -> Broken:
    def leave(self: Node, call: Any) -> None:
        whole = call.flight.whole if call.flight is not None else None
        if whole is None or len(whole.calls) > 1:
            right(self, call)
        else:
            flight, call.flight = call.flight, None
            del flight.calls[call]
            self._flights.close(flight)

    return leave


# The batcher


def _mixes_item_shapes(right: Broken) -> Broken:
    def cut(self: Batcher, now: float) -> Any:
        batch = right(self, now)
        if batch is not None:
            for queue in list(self._groups.values()):
                batch.flights.append(flight := queue.popleft())
                flight.running = True
                batch.rows += flight.rows
                self.depth -= flight.rows
                return batch
        return batch

    return cut


def _tells_the_first_rows_of_all(right: Broken) -> Broken:
    def signatures(self: Batch) -> Any:
        return None

    return signatures


def _ignores_max_batch(right: Broken) -> Broken:
    def cut(self: Batcher, now: float) -> Any:
        most, self._max_batch = self._max_batch, 1000
        try:
            return right(self, now)
        finally:
            self._max_batch = most

    return cut


def _drops_the_last(right: Broken) -> Broken:
    def cut(self: Batcher, now: float) -> Any:
        batch = right(self, now)
        if batch is not None and len(batch.flights) > 1:
            batch.rows -= batch.flights.pop().rows
        return batch

    return cut


def _runs_the_abandoned(right: Broken) -> Broken:
    def abandon(self: Batcher, flights: Any) -> None:
        pass

    return abandon


BROKEN_NODES = (
    Break(
        "never joins", SingleFlight, "try_join", always(False), "one key twice|a key runs twice|in the cache"
    ),
    Break("joins any flight", SingleFlight, "try_join", _joins_any_flight, "a wrong answer"),
    Break("never closes a flight", SingleFlight, "close", always(None), "calls pending|never ended"),
    Break("all leave with one", Node, "_leave", _all_leave_with_one, "calls pending|never ended"),
    Break("guesses in the cache", Cache, "get", _guesses_in_cache, "a wrong answer"),
    Break("remembers too much", Cache, "put", _remembers_too_much, "more entries than it may"),
    Break("remembers the version before", Shelf, "add", _remembers_the_version_before, "a wrong answer", 75),
    Break("fails a whole batch", Node, "_failed", _fails_the_whole_batch, "500 for an input"),
    Break("shuffles a batch", Node, "finished", _shuffles_a_batch, "a wrong answer"),
    Break("runs what is too late", Node, "_drop_expired", always(True), "too late for all"),
    Break("lets everybody in", Admission, "check", always(None), "items wait"),
    Break("joins slices as they land", Whole, "place", _joins_slices_as_they_land, "a wrong answer"),
    Break("answers before the last slice", Whole, "place", _answers_before_the_last_slice, "a wrong answer"),
    Break(
        "forgets the rows left over",
        Whole,
        "take",
        _forgets_the_rows_left_over,
        "miscounted|calls pending|never ended",
    ),
    Break("leaves slices in the queue", Node, "_leave", _leaves_slices_in_the_queue, "depth is miscounted"),
    Break(
        "mixes item shapes", Batcher, "cut", _mixes_item_shapes, "different item shapes|rows in a run|twice"
    ),
    Break("tells one number of rows", Batch, "signatures", _tells_the_first_rows_of_all, "wrong rows"),
    Break("cuts too much", Batcher, "cut", _ignores_max_batch, "rows in a run of at most"),
    Break("drops the last of a batch", Batcher, "cut", _drops_the_last, "calls pending|never ended"),
    Break("runs what was abandoned", Batcher, "abandon", _runs_the_abandoned, "depth is miscounted"),
    Break("never falls due", Batcher, "_due", always(False), "nothing was wrong any more"),
)
