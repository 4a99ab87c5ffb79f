"""The sentence of a request that does not fit, with the model that it was meant for."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from ringserve.errors import ServeError

if TYPE_CHECKING:
    from ringserve.core.tensor import ModelSpec

Refusal = TypeVar("Refusal", bound=ServeError)


def told_of(spec: ModelSpec, error: Refusal) -> Refusal:
    """The same error, whose sentence begins with the model where it does not already."""
    start = f"model {spec.name}"
    if error.message.startswith(start):
        return error
    return type(error)(f"{start}: {error.message}", error.retry_after_s)
