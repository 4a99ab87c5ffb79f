"""Requests' bytes into the arrays that a run takes.

What depends on the shape only is worked out once; the function made here then runs for each batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ringserve.core.byte_strings import find_ends, split
from ringserve.core.signature import TensorLayout
from ringserve.core.tensor import DType, count_elements
from ringserve.engine.arrays import Array, array_type
from ringserve.errors import BadRequest

Feeder = Callable[[Sequence[bytes]], dict[str, Array]]


def feeder(inputs: tuple[TensorLayout, ...]) -> Feeder:
    """Make the function that turns payloads of these layouts into the model's inputs."""
    if any(layout.dtype is DType.BYTES for layout in inputs):
        return _feed_strings(inputs)
    return _feed_one_input(inputs[0]) if len(inputs) == 1 else _feed_inputs(inputs)


def _feed_one_input(layout: TensorLayout) -> Feeder:
    name, dtype, shape = layout.name, array_type(layout.dtype), layout.shape
    rows, item = (shape[0], shape[1:]) if shape else (0, ())

    def feed(payloads: Sequence[bytes]) -> dict[str, Array]:
        count = len(payloads)
        if count == 1:
            return {name: np.frombuffer(payloads[0], dtype).reshape(shape)}
        return {name: np.frombuffer(b"".join(payloads), dtype).reshape((count * rows, *item))}

    return feed


def _feed_inputs(inputs: tuple[TensorLayout, ...]) -> Feeder:
    pieces, start = [], 0
    for layout in inputs:
        pieces.append((layout, array_type(layout.dtype), start, start + layout.byte_size))
        start += layout.byte_size

    def feed(payloads: Sequence[bytes]) -> dict[str, Array]:
        arrays = {}
        for layout, dtype, start, end in pieces:
            # A slice is a copy, and so begins where the processor wants numbers to begin.
            block = b"".join([payload[start:end] for payload in payloads])
            arrays[layout.name] = np.frombuffer(block, dtype).reshape(_together(layout, len(payloads)))
        return arrays

    return feed


def _feed_strings(inputs: tuple[TensorLayout, ...]) -> Feeder:
    def feed(payloads: Sequence[bytes]) -> dict[str, Array]:
        return feed_mixed([inputs] * len(payloads), payloads)

    return feed


def feed_mixed(layouts: Sequence[tuple[TensorLayout, ...]], payloads: Sequence[bytes]) -> dict[str, Array]:
    """Turn payloads into the model's inputs where each has its own layouts, and its own place for a tensor.

    Args:
        layouts: Of each payload; they differ in the number of rows only.
        payloads: In the order in which their rows are to stand.
    """
    (first, *others) = layouts[0]
    if not others and first.dtype is not DType.BYTES:
        array = np.frombuffer(b"".join(payloads), array_type(first.dtype))
        return {
            first.name: array.reshape((sum([inputs[0].shape[0] for inputs in layouts]), *first.shape[1:]))
        }
    ends = [find_ends(inputs, payload) for inputs, payload in zip(layouts, payloads, strict=True)]
    arrays: dict[str, Array] = {}
    for index, first in enumerate(layouts[0]):
        starts = [own[index - 1] if index else 0 for own in ends]
        shape = first.shape
        if len(payloads) > 1:
            shape = (sum([inputs[index].shape[0] for inputs in layouts]), *shape[1:])
        if first.dtype is DType.BYTES:
            texts: list[str] = []
            for inputs, payload, start in zip(layouts, payloads, starts, strict=True):
                texts += _decode(inputs[index], payload, start)
            arrays[first.name] = np.array(texts, object).reshape(shape)
        else:
            blocks = [
                payload[start : own[index]]
                for payload, start, own in zip(payloads, starts, ends, strict=True)
            ]
            arrays[first.name] = np.frombuffer(b"".join(blocks), array_type(first.dtype)).reshape(shape)
    return arrays


def _decode(layout: TensorLayout, payload: bytes, start: int) -> list[str]:
    elements = split(payload, start, count_elements(layout.shape))
    try:
        return [str(element, "utf-8") for element in elements]
    except UnicodeDecodeError:
        # onnxruntime makes its strings of Python's, so it cannot be given any other bytes.
        position = next(place for place, element in enumerate(elements) if not _is_text(element))
        raise BadRequest(
            f"input {layout.name}: element {position} is no UTF-8, which the strings of a model must be"
        ) from None


def _is_text(element: bytes) -> bool:
    try:
        element.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _together(layout: TensorLayout, count: int) -> tuple[int, ...]:
    shape = layout.shape
    return (count * shape[0], *shape[1:]) if count > 1 else shape
