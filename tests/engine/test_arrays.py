"""BF16 travels as bits; whatever float32 holds in so few of them survives both ways."""

import numpy as np
import pytest

from ringserve.core.tensor import DType
from ringserve.engine.arrays import array_type, narrow_to_bfloat16, widen_bfloat16


@pytest.mark.parametrize("dtype", DType)
def test_elements_of_an_array_are_as_large_as_on_the_wire(dtype: DType) -> None:
    assert dtype is DType.BYTES or array_type(dtype).itemsize == dtype.size


def test_every_bfloat_but_nan_survives_the_way_through_float32() -> None:
    bits = np.arange(2**16, dtype="<u2")
    wide = widen_bfloat16(bits).view(np.float32)
    kept = ~np.isnan(wide)
    assert np.array_equal(narrow_to_bfloat16(wide[kept]), bits[kept])
    assert wide[0x3F80] == 1.0
    assert wide[0xC040] == -3.0
