"""Does what the cache remembers still agree with what the model computes?

One hit in so many is not answered from memory: its input runs again, the caller gets the computed answer,
and the two are compared when the run lands. It is the n-th hit that is taken, so nothing is drawn by chance
here. A model that is a function of its input differs by the last bits at most, since a row may add in
another order in another batch; one that is none (it counts its calls, say, in an operator of its own) is
found out.

What is compared waits in a small table by key: a computed answer that never comes, because its callers left
or its run failed, is displaced by later ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from ringserve.core.tensor import DType, count_elements

if TYPE_CHECKING:
    from ringserve.core.signature import Key, Result, TensorLayout

WAITING_MAX = 64
"""Remembered answers that wait to be compared; one more displaces the oldest."""

_ALIKE = (DType.BYTES, DType.BOOL)
"""Elements of these are equal or not; there is no little difference."""


@dataclass(frozen=True, slots=True)
class VerificationStatistics:
    """What was compared so far.

    Attributes:
        compared: Remembered answers held against computed ones.
        differing: Of them, those that were not the same to the last bit.
        largest: The largest difference of one element so far; infinite where shapes, strings or booleans
            differed, or where one was no number.
    """

    compared: int
    differing: int
    largest: float


class Verification:
    """Takes one hit in so many, and compares."""

    __slots__ = ("_every", "_hits", "_largest", "_waiting", "compared", "differing")

    def __init__(self, share: float) -> None:
        """Begin with nothing compared.

        Args:
            share: Of the hits, what part is computed again: 0 for none, 0.001 for one in a thousand.
        """
        self._every = round(1 / share) if share > 0 else 0
        self._hits = 0
        self._largest = 0.0
        self._waiting: dict[Key, Result] = {}
        self.compared = 0
        self.differing = 0

    def takes(self, key: Key, known: Result) -> bool:
        """Whether this hit is to be computed again; then `known` is kept for `landed`."""
        if not self._every:
            return False
        self._hits += 1
        if self._hits < self._every:
            return False
        self._hits = 0
        if len(self._waiting) >= WAITING_MAX:
            del self._waiting[next(iter(self._waiting))]
        self._waiting[key] = known
        return True

    def landed(self, key: Key, computed: Result) -> None:
        """Compare, where an answer of this key waits for it. 0.04 us where none waits."""
        if not self._waiting:
            return
        known = self._waiting.pop(key, None)
        if known is None:
            return
        self.compared += 1
        if known.payload != computed.payload or known.layout.encoded != computed.layout.encoded:
            self.differing += 1
            self._largest = max(self._largest, difference_of(known, computed))

    def statistics(self) -> VerificationStatistics:
        """What was compared so far."""
        return VerificationStatistics(self.compared, self.differing, self._largest)


def difference_of(one: Result, other: Result) -> float:
    """The largest difference of two answers in one element; infinite where they cannot be subtracted."""
    if one.layout.encoded != other.layout.encoded:
        return inf
    if any(layout.dtype in _ALIKE for layout in one.layout.outputs):
        # Strings move what comes after them: whoever answers with those is compared as a whole.
        return 0.0 if one.payload == other.payload else inf
    largest, start = 0.0, 0
    for layout in one.layout.outputs:
        end = start + layout.byte_size
        if count_elements(layout.shape):
            pair = _numbers(one.payload[start:end], layout), _numbers(other.payload[start:end], layout)
            largest = max(largest, _difference(*pair))
        start = end
    return largest


def _numbers(data: bytes, layout: TensorLayout) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    if layout.dtype is DType.BF16:
        # A bfloat16 is the upper half of a float32.
        wide = np.frombuffer(data, "<u2").astype(np.uint32) << 16
        return wide.view(np.float32).astype(np.float64)
    return np.frombuffer(data, layout.dtype.numpy).astype(np.float64)


def _difference(
    one: np.ndarray[tuple[int], np.dtype[np.float64]], other: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> float:
    with np.errstate(invalid="ignore"):  # infinities and NaN are data here
        apart = np.abs(one - other)
    apart[(one == other) | (np.isnan(one) & np.isnan(other))] = 0.0
    return float(np.nan_to_num(apart, nan=inf, posinf=inf).max())
