"""Is one row of a batch's answer the row's own answer?

The rule is 1e-4 relative plus 1e-5 absolute for fractions, and equality for everything else.

A matrix product over many rows may add in another order than one over a single row. In a row of large
numbers that cancel, an element near zero then misses the rule although nothing is wrong. onnxruntime's
own CPU kernels kept the order for every network tried; with numpy's, 12 of 12 networks 784-1024-1000
missed the rule, and a GPU's kernels promise nothing. Such an element gets a second look: it may differ
by what the model itself makes of its own input's last bit, and by no more than 1e-4 of the largest
element of its row. A model whose rows see each other differs by far more than its input's last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from ringserve.engine.arrays import Array

RELATIVE = 1e-4
ABSOLUTE = 1e-5
ROUNDING_FACTOR = 16
"""How much more than the input's last bit a long sum may lose."""

Nudged = Callable[[], Sequence[Array]]
"""Gives one output of the same row with its input's last bits moved, several times."""


def agrees(together: Array, alone: Array, nudged: Nudged) -> bool:
    """Tell whether a row from a batch equals the same row run alone; shapes must be equal before.

    Args:
        together: The row cut out of the batch's answer.
        alone: The answer of a run of its own.
        nudged: Called only where a second look is needed.
    """
    if alone.dtype.kind not in "fc":
        return bool(np.array_equal(together, alone))
    with np.errstate(all="ignore"):  # infinities and NaN are data here
        one, other = together.astype(np.float64), alone.astype(np.float64)
        same = (one == other) | (np.isnan(one) & np.isnan(other))
        difference = np.abs(one - other)
        if not np.isfinite(difference[~same]).all():
            return False
        missed = ~same & (difference > ABSOLUTE + RELATIVE * np.abs(other))
        if not missed.any():
            return True
        allowed = np.minimum(ROUNDING_FACTOR * _noise(other, nudged()), RELATIVE * _largest(other))
        return bool((difference[missed] <= allowed[missed]).all())


def describe_difference(together: Array, alone: Array) -> str:
    """How far numbers moved, for whoever wonders whether that matters to them; empty for other answers."""
    if alone.dtype.kind not in "fiu":
        return ""
    with np.errstate(all="ignore"):
        moved = np.abs(together.astype(np.float64) - alone.astype(np.float64))
    largest = _largest(alone.astype(np.float64))
    return f" (by {_largest(moved) / largest:.2g} times its largest number)" if largest else ""


def _noise(alone: npt.NDArray[np.float64], nudged: Sequence[Array]) -> npt.NDArray[np.float64]:
    """The most that each element moved."""
    noise = np.zeros_like(alone)
    for moved in nudged:
        if moved.shape == alone.shape:
            noise = np.fmax(noise, np.abs(moved.astype(np.float64) - alone))
    return noise


def _largest(row: npt.NDArray[np.float64]) -> float:
    finite = np.abs(row[np.isfinite(row)])
    return float(finite.max()) if finite.size else 0.0
