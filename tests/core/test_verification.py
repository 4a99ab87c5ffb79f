"""One hit in so many is computed again, and the largest difference is told."""

from math import inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringserve.core.byte_strings import join
from ringserve.core.signature import Key, Result, ResultLayout, TensorLayout
from ringserve.core.tensor import DType
from ringserve.core.verification import WAITING_MAX, Verification, difference_of

KEY = Key(b"k" * 16)


def floats(*numbers: float) -> Result:
    """An answer of float32 numbers."""
    layout = ResultLayout((TensorLayout("y", DType.FP32, (len(numbers),)),))
    return Result(layout, np.array(numbers, "<f4").tobytes())


@pytest.mark.parametrize(("share", "taken"), [(0.0, 0), (1.0, 1000), (0.1, 100), (0.001, 1), (0.0001, 0)])
def test_of_a_thousand_hits_the_share_is_taken(share: float, taken: int) -> None:
    verification = Verification(share)
    assert sum(verification.takes(KEY, floats(1)) for _ in range(1000)) == taken


def test_what_is_the_same_to_the_last_bit_counts_as_compared_only() -> None:
    verification = Verification(1.0)
    assert verification.takes(KEY, floats(1, nan))
    verification.landed(KEY, floats(1, nan))
    assert verification.statistics().compared == 1
    assert verification.statistics().differing == 0
    assert verification.statistics().largest == 0.0


def test_the_largest_difference_is_kept() -> None:
    verification = Verification(1.0)
    for known, computed in [(1.0, 1.5), (2.0, 2.25), (3.0, 3.0)]:
        verification.takes(KEY, floats(known, 0))
        verification.landed(KEY, floats(computed, 0))
    assert (verification.compared, verification.differing) == (3, 2)
    assert verification.statistics().largest == 0.5


def test_an_answer_that_nobody_asked_to_compare_is_let_by() -> None:
    verification = Verification(1.0)
    verification.landed(KEY, floats(1))
    verification.takes(KEY, floats(1))
    verification.landed(Key(b"o" * 16), floats(2))
    assert verification.compared == 0
    verification.landed(KEY, floats(1))
    verification.landed(KEY, floats(2))
    assert (verification.compared, verification.differing) == (1, 0)


def test_what_waits_to_be_compared_is_bounded_and_the_oldest_goes_first() -> None:
    verification = Verification(1.0)
    keys = [Key(number.to_bytes(16, "little")) for number in range(WAITING_MAX + 1)]
    for key in keys:
        verification.takes(key, floats(1))
    for key in keys:
        verification.landed(key, floats(1))
    assert verification.compared == WAITING_MAX


@pytest.mark.parametrize(
    ("one", "other", "difference"),
    [
        ((1.0, 2.0), (1.0, 2.5), 0.5),
        ((nan,), (nan,), 0.0),
        ((inf,), (inf,), 0.0),
        ((inf,), (-inf,), inf),
        ((nan,), (1.0,), inf),
        ((1.0,), (1.0, 2.0), inf),
        ((), (), 0.0),
    ],
)
def test_differences_of_fractions(
    one: tuple[float, ...], other: tuple[float, ...], difference: float
) -> None:
    assert difference_of(floats(*one), floats(*other)) == difference


@pytest.mark.parametrize("dtype", [dtype for dtype in DType if dtype not in (DType.BYTES, DType.BOOL)])
def test_each_type_of_number_is_subtracted(dtype: DType) -> None:
    layout = ResultLayout((TensorLayout("y", dtype, (2,)), TensorLayout("z", DType.INT8, (1,))))
    bits = {np.uint16: [0x4000, 0x40C0]}  # 2 and 6 in bfloat16
    numbers = [np.array(bits[np.uint16] if dtype is DType.BF16 else [2, 6], dtype.numpy or np.uint16)]
    numbers.append(numbers[0][::-1])
    one, other = (Result(layout, number.tobytes() + b"\7") for number in numbers)
    assert difference_of(one, other) == 4.0


@pytest.mark.parametrize("dtype", [DType.BYTES, DType.BOOL])
def test_strings_and_booleans_are_equal_or_not(dtype: DType) -> None:
    layout = ResultLayout((TensorLayout("y", dtype, (2,)),))
    payloads = (join([b"a", b"b"]), join([b"a", b"c"])) if dtype is DType.BYTES else (b"\0\1", b"\1\1")
    one, other = (Result(layout, payload) for payload in payloads)
    assert difference_of(one, one) == 0.0
    assert difference_of(one, other) == inf


@given(st.lists(st.floats(width=32), max_size=5), st.lists(st.floats(width=32), max_size=5))
def test_a_difference_has_no_direction_and_is_none_of_itself(one: list[float], other: list[float]) -> None:
    assert difference_of(floats(*one), floats(*other)) == difference_of(floats(*other), floats(*one))
    assert difference_of(floats(*one), floats(*one)) == 0.0
