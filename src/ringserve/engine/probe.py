"""The proof of batching: made-up rows are run together and alone, and every row must be the same.

Many models cannot share a run although their first axis is open: dynamic quantisation takes one scale
from all rows, recurrent models have time in front, careless exports reshape to one row. Nothing in the
file says so; only running it does. Sizes are 1, 2, 3 and max-batch; rows differ by six orders of
magnitude; whole numbers stay in a range that the model accepts; each open dimension is tried at two
sizes. What cannot be proved runs item by item, which is always right.

A slow model keeps its start-up bounded: rows are made for half a second of runs alone, but at least
three. A batch of more rows than that repeats them, and every row of it is still compared. For a run of
5 s that is six runs for each item size: three alone, and one of two, of three and of max-batch rows.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ringserve.core.tensor import TensorSpec, describe_shape
from ringserve.engine.arrays import Array
from ringserve.engine.categories import Categories
from ringserve.engine.compare import agrees, describe_difference
from ringserve.engine.probe_rows import (
    Dimension,
    Recipe,
    Sizes,
    candidate_sizes,
    make_row,
    nudge,
    other_sizes,
    recipes,
    stack_rows,
    widen,
)
from ringserve.engine.runs import SLOW_RUN_S, Feed, TimedRuns
from ringserve.errors import ModelFailed

ROWS_MIN = 3
ALONE_BUDGET_S = 0.5
SEARCH_BUDGET_S = 10.0
"""Failed attempts stop after this; one that works is never cut short."""
NUDGES = 8


@dataclass(frozen=True, slots=True)
class Probe:
    """An input that the model accepts: the sizes of its open dimensions, and how to draw its numbers."""

    sizes: Sizes
    recipe: Recipe


class Prober:
    """Finds inputs that one model accepts, and proves with them that its rows may share a run."""

    __slots__ = ("_alone", "_categories", "_inputs", "_max_batch", "_runs", "_single", "_words")

    def __init__(
        self,
        inputs: Sequence[TensorSpec],
        runs: TimedRuns,
        max_batch: int,
        words: tuple[str, ...] = (),
        categories: Categories | None = None,
        single: TimedRuns | None = None,
    ) -> None:
        """Nothing runs before it is asked for.

        Args:
            inputs: The model's.
            runs: Run it.
            max_batch: The largest number of rows to prove.
            words: Strings that stand in the model: what an input of strings may want.
            categories: What columns of inputs may hold.
            single: Runs the rows alone, for a model that is to give the answers of another one.
        """
        self._words = words
        self._categories = categories
        self._inputs = inputs
        self._runs = runs
        self._single = single or runs
        self._max_batch = max_batch
        self._alone: dict[tuple[object, ...], list[Array]] = {}

    def find(self, rows: int) -> Probe | None:
        """Search for an input that the model accepts.

        Args:
            rows: How many different rows must each be accepted.
        """
        until = time.perf_counter() + SEARCH_BUDGET_S
        partly: Probe | None = None
        for sizes in candidate_sizes(self._inputs):
            for recipe in recipes(self._inputs, self._words, self._categories):
                probe = Probe(sizes, recipe)
                answers = self._accepted(probe, rows)
                if answers and all(np.isfinite(out).all() for out in _fractions(answers)):
                    return self._widened(probe, rows)
                if answers and any(np.isfinite(out).any() for out in _fractions(answers)):
                    partly = partly or probe
                if time.perf_counter() > until:
                    return partly
            if partly is not None:
                return self._widened(partly, rows)
        return None

    def feed(self, probe: Probe, rows: int) -> Feed:
        """Make a batch of so many rows, as many of them different as there is time for."""
        pool = self._pool_size()
        return stack_rows([self._row(probe, number % pool) for number in range(rows)])

    def feed_item(self, probe: Probe) -> Feed:
        """Make one item."""
        return self._row(probe, 0)

    def find_flaw(self, probe: Probe) -> str:
        """Try the proof: the reason why the model cannot share runs; empty when it can."""
        others, flaw = self._other_probes(probe)
        for tried in [probe, *others]:
            flaw = flaw or self._find_flaw_at(tried)
        return flaw

    def is_steady(self, probe: Probe) -> bool:
        """Whether an input that comes again is given the same answer; a slow model is taken at its word.

        Raises:
            ModelFailed: The run failed.
        """
        if self._runs.median_s(1) > SLOW_RUN_S:
            return True
        again = self._runs.run(self._row(probe, 0), 1)
        return all(
            one.shape == other.shape and agrees(other, one, lambda i=index: self._nudged(probe, 0, i))  # type: ignore[misc]
            for index, (one, other) in enumerate(zip(self._run_alone(probe, 0), again, strict=True))
        )

    def _find_flaw_at(self, probe: Probe) -> str:
        pool = self._pool_size()
        # The rows alone are the runs of size 1; a fast model repeats one, which shows whether it is steady.
        repeats = self._single is not self._runs or self._single.median_s(1) <= SLOW_RUN_S
        steady = {1} if repeats else set()
        for rows in sorted(rows for rows in {*steady, 2, 3, self._max_batch} if rows <= self._max_batch):
            if rows > ROWS_MIN and (flaw := self._find_blindness(probe, pool)):
                return flaw  # what the largest batch would show is no proof either
            # A batch larger than the pool repeats its rows; the shift puts other neighbours side by side.
            numbers = [(number + number // pool) % pool for number in range(rows)]
            try:
                together = self._runs.run(stack_rows([self._row(probe, n) for n in numbers]), rows)
                flaw = self._compare(probe, numbers, together)
            except ModelFailed as error:
                return f"it fails on {rows} rows together ({error.message})"
            if flaw:
                return flaw
        return self._find_blindness(probe, pool)

    def _compare(self, probe: Probe, numbers: list[int], together: list[Array]) -> str:
        rows = len(numbers)
        for index, (name, batch) in enumerate(zip(self._runs.outputs, together, strict=True)):
            if batch.ndim == 0 or batch.shape[0] != rows:
                return f"its output {name!r} has the shape {describe_shape(batch.shape)} for {rows} rows"
            for place, number in enumerate(numbers):
                alone = self._run_alone(probe, number)[index]
                row = batch[place : place + 1]
                if row.shape != alone.shape:
                    return f"the shape of its output {name!r} depends on the other rows"
                if not agrees(row, alone, lambda n=number, i=index: self._nudged(probe, n, i)):  # type: ignore[misc]
                    moved = describe_difference(row, alone)
                    others = f"the other rows of a batch of {rows}"
                    return f"its output {name!r} for one row depends on {others}{moved}"
        return ""

    def _find_blindness(self, probe: Probe, pool: int) -> str:
        """Rows that all give the same answer prove nothing."""
        first = self._run_alone(probe, 0)
        if any(_differ(first, self._run_alone(probe, number)) for number in range(1, pool)):
            return ""
        return "it gave the same answer for every input that was tried"

    def _nudged(self, probe: Probe, number: int, index: int) -> list[Array]:
        generator = np.random.default_rng(number)
        row = self._row(probe, number)
        times = NUDGES if self._single.median_s(1) <= SLOW_RUN_S else 1
        return [self._single.run(nudge(row, generator), 1)[index] for _ in range(times)]

    def _other_probes(self, probe: Probe) -> tuple[list[Probe], str]:
        """Find second sizes for the open dimensions: for all at once, or else for some at a time."""
        until = time.perf_counter() + SEARCH_BUDGET_S
        found: list[Probe] = []
        missing = list(probe.sizes)
        for sizes in other_sizes(self._inputs, probe.sizes):
            if not missing or time.perf_counter() > until:
                break
            still_missing = [dimension for dimension in missing if sizes[dimension] == probe.sizes[dimension]]
            other = Probe(sizes, probe.recipe)
            if len(still_missing) < len(missing) and self._accepted(other, ROWS_MIN):
                found.append(other)
                missing = still_missing
        if missing:
            name, size = _describe(missing[0]), probe.sizes[missing[0]]
            return [], f"its dimension {name} was accepted at one size only ({size})"
        return found, ""

    def _widened(self, probe: Probe, rows: int) -> Probe:
        """Let whole numbers grow while the model accepts them."""
        for index, spec in enumerate(self._inputs):
            for recipe in widen(probe.recipe, index, spec):
                wider = Probe(probe.sizes, recipe)
                if not self._accepted(wider, rows):
                    break
                probe = wider
                if self._single.median_s(1) > SLOW_RUN_S:
                    break
        return probe

    def _accepted(self, probe: Probe, rows: int) -> list[list[Array]]:
        """The answers to the first rows, each alone; none when the model refuses one of them."""
        try:
            return [self._run_alone(probe, number) for number in range(rows)]
        except ModelFailed:
            return []

    def _run_alone(self, probe: Probe, number: int) -> list[Array]:
        key = (tuple(probe.sizes.items()), probe.recipe, number)
        if key not in self._alone:
            self._alone[key] = self._single.run(self._row(probe, number), 1)
        return self._alone[key]

    def _row(self, probe: Probe, number: int) -> dict[str, Array]:
        return make_row(self._inputs, probe.sizes, probe.recipe, number)

    def _pool_size(self) -> int:
        affordable = int(ALONE_BUDGET_S / max(self._single.median_s(1), 1e-6))
        return min(max(affordable, ROWS_MIN), max(self._max_batch, ROWS_MIN))


def _fractions(answers: list[list[Array]]) -> list[Array]:
    """All outputs that may hold NaN; where there is none, a number that is finite."""
    found = [out for answer in answers for out in answer if out.dtype.kind == "f"]
    return found or [np.zeros(1)]


def _differ(one: list[Array], other: list[Array]) -> bool:
    return not all(
        np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(one, other, strict=True)
    )


def _describe(dimension: Dimension) -> str:
    return repr(dimension) if isinstance(dimension, str) else f"{dimension[1]} of input {dimension[0]!r}"
