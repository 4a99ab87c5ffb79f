"""A symbol names one size: all dimensions that carry it must agree within a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringserve.core.tensor import describe_shape
from ringserve.errors import BadRequest

if TYPE_CHECKING:
    from ringserve.core.signature import Signature
    from ringserve.core.tensor import ModelSpec


def check_symbols(spec: ModelSpec, signature: Signature) -> None:
    """Hold the sizes of a request's dimensions against each other; their ranks must have been checked.

    Raises:
        BadRequest: Two dimensions of one symbol differ.
    """
    seen: dict[str, tuple[str, int]] = {}
    for tensor, layout in zip(spec.inputs, signature.inputs, strict=True):
        for dim, size in zip(tensor.shape, layout.shape, strict=True):
            if not isinstance(dim, str):
                continue
            first, expected = seen.setdefault(dim, (tensor.name, size))
            if size != expected:
                shapes = ", ".join(f"{own.name} {describe_shape(own.shape)}" for own in spec.inputs)
                raise BadRequest(
                    f"model {spec.name} takes {shapes}: {dim!r} must be one size, "
                    f"got {expected} in {first} and {size} in {tensor.name}"
                )
