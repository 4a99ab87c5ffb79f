"""Arrays into payloads and answers into arrays, as a client of any type would."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringserve.core.byte_strings import find_ends, join, split
from ringserve.core.signature import Result, Signature, TensorLayout
from ringserve.core.tensor import DType, ModelSpec, count_elements
from ringserve.engine.arrays import array_type

Numbers = NDArray[Any]


def raw(array: Numbers) -> bytes:
    """An array's bytes as they travel."""
    if array.dtype.kind == "O":
        return join([str(text).encode() for text in array.ravel().tolist()])
    return array.tobytes()


def request(
    spec: ModelSpec, arrays: Mapping[str, Numbers], outputs: tuple[str, ...] = ()
) -> tuple[Signature, bytes]:
    """A request with these inputs."""
    layouts = [TensorLayout(own.name, own.dtype, arrays[own.name].shape) for own in spec.inputs]
    payload = b"".join(raw(arrays[own.name]) for own in spec.inputs)
    return Signature(spec.name, "", tuple(layouts), outputs), payload


def arrays_of(result: Result) -> dict[str, Numbers]:
    """An answer's outputs by name; nothing may be left over."""
    layouts = result.layout.outputs
    ends = find_ends(layouts, result.payload)
    arrays: dict[str, Numbers] = {}
    for layout, start, end in zip(layouts, [0, *ends], ends, strict=False):
        if layout.dtype is DType.BYTES:
            texts = [text.decode() for text in split(result.payload, start, count_elements(layout.shape))]
            array = np.array(texts, object)
        else:
            array = np.frombuffer(result.payload[start:end], array_type(layout.dtype))
        arrays[layout.name] = array.reshape(layout.shape)
    return arrays
