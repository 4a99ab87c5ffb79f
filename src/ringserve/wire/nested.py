"""Nested lists of elements into raw tensor bytes: the strict way, which says what is wrong.

A list is flat or nested as the item's shape. Ragged lists are refused, and so is what is not of the input's
kind: numbers, booleans or strings. An integer input takes 1.0 and refuses 1.5; a number that the type cannot
hold is refused rather than rounded to infinity.
"""

from __future__ import annotations

from struct import error, pack
from typing import cast

from ringserve.core.byte_strings import join
from ringserve.core.tensor import Dim, DType, TensorSpec, count_elements, describe_shape
from ringserve.errors import BadRequest

SHOWN_MAX = 40


def item_shape_of(tensor: TensorSpec, data: list[object]) -> tuple[int, ...]:
    """The concrete shape of the item that `data` is.

    Raises:
        BadRequest: It cannot be an item of this input.
    """
    declared = tensor.item_shape
    if data and isinstance(data[0], list):
        return _nested_shape(tensor, data)
    unknown = [dim for dim in declared if not isinstance(dim, int)]
    if len(unknown) > 1:
        shape = describe_shape(declared)
        raise BadRequest(
            f"input {tensor.name} has shape {shape}: send input_data as lists nested like it, not flat"
        )
    known = count_elements(tuple(dim for dim in declared if isinstance(dim, int)))
    if not unknown:
        if len(data) != known:
            raise BadRequest(_wrong_count(tensor, known, len(data)))
        return cast("tuple[int, ...]", declared)
    if not data or known == 0 or len(data) % known:
        kind = kind_of(tensor.dtype)
        rule = f"a multiple of {known} {kind}s" if known > 1 else f"at least one {kind}"
        raise BadRequest(
            f"input {tensor.name} has shape {tensor.describe_item()}: expected {rule}, got {len(data)}"
        )
    size = len(data) // known
    return tuple(dim if isinstance(dim, int) else size for dim in declared)


def pack_elements(tensor: TensorSpec, item: tuple[int, ...], data: list[object]) -> bytes:
    """Pack the `input_data` of an input of any type that JSON can carry.

    Raises:
        BadRequest: A list is ragged, or an element is not what the input takes.
    """
    if tensor.dtype is DType.BYTES or tensor.dtype is DType.BOOL:
        nested = bool(data) and isinstance(data[0], list)
        flat = flatten(tensor, item, data, "input_data") if nested else data
        return (pack_strings if tensor.dtype is DType.BYTES else pack_booleans)(flat, "input_data")
    return pack_numbers(tensor, item, data)


def pack_booleans(flat: list[object], field: str) -> bytes:
    """A byte for each, 0 or 1.

    Raises:
        BadRequest: An element is no boolean.
    """
    for position, value in enumerate(flat):
        if not isinstance(value, bool):
            raise BadRequest(f"{field}[{position}] must be true or false, got {shown(value)}")
    return bytes(cast("list[bool]", flat))


def pack_strings(flat: list[object], field: str) -> bytes:
    """Each string's length and UTF-8.

    Raises:
        BadRequest: An element is no string.
    """
    for position, value in enumerate(flat):
        if not isinstance(value, str):
            raise BadRequest(f"{field}[{position}] must be a string, got {shown(value)}")
    return join([text.encode() for text in cast("list[str]", flat)])


def pack_numbers(
    tensor: TensorSpec, item: tuple[int, ...], data: list[object], field: str = "input_data"
) -> bytes:
    """Pack numbers in row-major order, little-endian.

    Args:
        tensor: The input they are for.
        item: Their shape.
        data: Flat, or nested as the shape.
        field: What the caller calls them.

    Raises:
        BadRequest: A list is ragged, an element is no number, or the type cannot hold it.
    """
    flat = data if not (data and isinstance(data[0], list)) else flatten(tensor, item, data, field)
    for position, number in enumerate(flat):
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise BadRequest(f"{field}[{position}] must be a number, got {shown(number)}")
    numbers = cast("list[int | float]", flat)
    if tensor.dtype.is_integer:
        numbers = [
            _whole(tensor.dtype, f"{field}[{position}]", number) for position, number in enumerate(numbers)
        ]
    try:
        return pack(f"<{len(numbers)}{tensor.dtype.code}", *numbers)
    except (error, OverflowError):
        raise BadRequest(_cannot_hold(tensor, numbers, field)) from None


def kind_of(dtype: DType) -> str:
    """What an element is called in a sentence."""
    return {DType.BOOL: "boolean", DType.BYTES: "string"}.get(dtype, "number")


def _nested_shape(tensor: TensorSpec, data: list[object]) -> tuple[int, ...]:
    shape: list[int] = []
    level: object = data
    while isinstance(level, list):
        shape.append(len(level))
        level = level[0] if level else None
        if len(shape) > len(tensor.item_shape):
            break
    if len(shape) != len(tensor.item_shape) or not all(map(_allows, tensor.item_shape, shape)):
        more = "or deeper" if isinstance(level, list) else ""
        got = f"{describe_shape(tuple(shape))} {more}".rstrip()
        raise BadRequest(f"input {tensor.name} has shape {tensor.describe_item()}, got lists nested as {got}")
    return tuple(shape)


def _allows(declared: Dim, size: int) -> bool:
    return not isinstance(declared, int) or declared == size


def flatten(tensor: TensorSpec, item: tuple[int, ...], data: list[object], field: str) -> list[object]:
    """The elements of lists nested as the shape.

    Raises:
        BadRequest: They are not, below the first level.
    """
    level = data
    for size in item[1:]:
        deeper: list[object] = []
        for row in level:
            if not isinstance(row, list) or len(row) != size:
                got = f"a list of {len(row)}" if isinstance(row, list) else shown(row)
                raise BadRequest(
                    f"input {tensor.name}: {field} is ragged, expected lists of {size} there, got {got}"
                )
            deeper.extend(row)
        level = deeper
    return level


def _whole(dtype: DType, place: str, number: int | float) -> int:  # noqa: PYI041 - mypy then knows that it may be an int
    if isinstance(number, float):
        if not number.is_integer():
            raise BadRequest(f"{place} must be a whole number for {dtype.name}, got {number!r}")
        whole = int(number)
        # JSON's integers below -2**63 come as the float nearest to them, which would pass for INT64's least.
        return whole if whole > -(2**63) else whole - 1
    return number


def _cannot_hold(tensor: TensorSpec, numbers: list[int | float], field: str) -> str:
    def held(number: float) -> bool:
        try:
            pack(f"<{tensor.dtype.code}", number)
        except (error, OverflowError):
            return False
        return True

    position = next(position for position, number in enumerate(numbers) if not held(number))
    return f"{field}[{position}] is {shown(numbers[position])}, which {tensor.dtype.name} cannot hold"


def _wrong_count(tensor: TensorSpec, expected: int, got: int) -> str:
    kind = f"{expected} {kind_of(tensor.dtype)}s"
    return f"input {tensor.name} has shape {tensor.describe_item()}: expected {kind}, got {got}"


def shown(value: object) -> str:
    """A JSON value in a sentence, cut short."""
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, str):
        return f"the string {value[:SHOWN_MAX]!r}"
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    return "null" if value is None else repr(value)[:SHOWN_MAX]
