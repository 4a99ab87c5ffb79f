"""What an array of each element type is on its way into ONNX Runtime and out of it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ringserve.core.tensor import DType

Array = npt.NDArray[np.generic]

_OTHERS = {DType.BF16: np.dtype("<u2"), DType.BYTES: np.dtype(object)}
"""numpy has no such types: the upper half of a float32's bits stands for BF16, objects of `str` for BYTES."""


def array_type(dtype: DType) -> np.dtype[np.generic]:
    """The numpy type of the arrays that hold such elements."""
    return dtype.numpy or _OTHERS[dtype]


def widen_bfloat16(bits: Array) -> Array:
    """The numbers as float32, each exactly."""
    return (bits.astype("<u4") << 16).view("<f4")


def narrow_to_bfloat16(numbers: Array) -> Array:
    """The numbers' bits as BF16, cut off towards zero."""
    return (numbers.astype("<f4").view("<u4") >> 16).astype("<u2")
