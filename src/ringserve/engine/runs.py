"""Runs made while a model loads: each is timed, and its failure is one of ours."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence

from ringserve.core.tensor import DType, TensorSpec
from ringserve.engine.arrays import Array, widen_bfloat16
from ringserve.engine.reasons import shorten
from ringserve.engine.runtime import Session
from ringserve.errors import ModelFailed

SLOW_RUN_S = 0.2
"""A run longer than this is not repeated only to measure it better."""
REPEATS = 10

Feed = Mapping[str, Array]


class TimedRuns:
    """A session that remembers how long its runs took, by the number of rows.

    Attributes:
        outputs: Names of the outputs asked for.
        slowest_s: The longest run so far.
        last_failure: Why the last run that failed did; empty before.
        ranks: How many dimensions each output had in the last run; empty before.
    """

    __slots__ = ("_bfloats", "_seconds", "_session", "last_failure", "outputs", "ranks", "slowest_s")

    def __init__(self, session: Session, outputs: Sequence[TensorSpec]) -> None:
        """Nothing has run yet."""
        self._bfloats = [spec.dtype is DType.BF16 for spec in outputs]
        self._session = session
        self._seconds: dict[int, list[float]] = {}
        self.outputs = [spec.name for spec in outputs]
        self.slowest_s = 0.0
        self.last_failure = ""
        self.ranks: list[int] = []

    def run(self, feed: Feed, rows: int) -> list[Array]:
        """Run and remember the time. Outputs of BF16 come as float32, to be compared as numbers.

        Args:
            feed: An array for each input.
            rows: Under which number of rows the time is remembered.

        Raises:
            ModelFailed: The run failed; a failed run is not timed.
        """
        started = time.perf_counter()
        try:
            answer = self._session.run(self.outputs, dict(feed))
        except Exception as error:  # the border: onnxruntime's errors share no base class
            self.last_failure = shorten(error)
            raise ModelFailed(self.last_failure) from error
        seconds = time.perf_counter() - started
        self._seconds.setdefault(rows, []).append(seconds)
        self.slowest_s = max(self.slowest_s, seconds)
        self.ranks = [out.ndim for out in answer]
        return [
            widen_bfloat16(out) if bfloat else out for out, bfloat in zip(answer, self._bfloats, strict=True)
        ]

    def median_s(self, rows: int) -> float:
        """The median of the runs with so many rows so far; 0 where there was none."""
        return statistics.median(self._seconds.get(rows, [0.0]))

    def measure(self, feed: Feed, rows: int) -> float:
        """Run several times and give the median; a slow model's earlier runs count instead.

        Raises:
            ModelFailed: A run failed.
        """
        if self.median_s(rows) <= SLOW_RUN_S:
            self._seconds.pop(rows, None)
            for _ in range(REPEATS):
                self.run(feed, rows)
                if self.median_s(rows) > SLOW_RUN_S:
                    break
        return self.median_s(rows)
