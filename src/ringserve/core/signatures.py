"""Signatures seen, checked once against the model and then looked up by their bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringserve.core.names import compared, listed
from ringserve.core.signature import Signature
from ringserve.core.symbols import check_symbols
from ringserve.core.tensor import describe_shape
from ringserve.errors import BadRequest

if TYPE_CHECKING:
    from ringserve.core.tensor import ModelSpec, TensorSpec

SIGNATURES_MAX = 1024
"""Signatures remembered; a model with open dimensions may see more, which are then read again."""


class Signatures:
    """Turns the encoded signature of a request into the one object that all requests of its shape share."""

    __slots__ = ("_known", "_spec")

    def __init__(self, spec: ModelSpec) -> None:
        """Begin with none seen."""
        self._spec = spec
        self._known: dict[bytes, Signature] = {}

    def find(self, encoded: bytes) -> Signature:
        """Look a signature up, or read and check it.

        Raises:
            BadRequest: The bytes are no signature, or it does not fit the model.
        """
        known = self._known.get(encoded)
        if known is None:
            try:
                known = Signature.decode(encoded)
            except ValueError as error:
                raise BadRequest(f"the request's signature cannot be read: {error}") from error
            check(self._spec, known)
            self.remember(known)
        return known

    def remember(self, signature: Signature) -> None:
        """Keep a signature that is known to fit, dropping the oldest where there are too many."""
        if len(self._known) >= SIGNATURES_MAX:
            del self._known[next(iter(self._known))]
        self._known[signature.encoded] = signature


def check(spec: ModelSpec, signature: Signature) -> None:
    """Hold a request's tensors against what the model declares, and count its items.

    A model that takes one item a run may be sent any number of them: the worker's node cuts the request.
    Where the first axis counts no items, or they may not run apart, the request is one item.

    Raises:
        BadRequest: Another model, a tensor missing or in excess, a type or a dimension that differs,
            inputs with different numbers of items for a model whose items run apart, or an output it has not.
    """
    if signature.model != spec.name or signature.version not in ("", spec.version):
        asked = f"{signature.model} version {signature.version}".removesuffix(" version ")
        raise BadRequest(f"this worker serves {spec.name} version {spec.version}, not {asked}")
    names = [layout.name for layout in signature.inputs]
    expected = [tensor.name for tensor in spec.inputs]
    if names != expected:
        raise BadRequest(f"model {spec.name} takes the inputs {compared(expected, names)}")
    for tensor, layout in zip(spec.inputs, signature.inputs, strict=True):
        if layout.dtype is not tensor.dtype:
            raise BadRequest(f"input {tensor.name} takes {tensor.dtype.name}, got {layout.dtype.name}")
        if not _fits(tensor, layout.shape, any_batch=spec.takes_one_item):
            expected_shape, got_shape = describe_shape(tensor.shape), describe_shape(layout.shape)
            hint = _hint(tensor, layout.shape)
            raise BadRequest(f"input {tensor.name} has shape {expected_shape}, got {got_shape}{hint}")
    _check_emptiness(spec, signature)
    counts = {layout.name: layout.shape[0] for layout in signature.inputs} if spec.counts_items else {}
    if len(set(counts.values())) > 1:
        raise BadRequest(f"the inputs of model {spec.name} must have equally many items, got {counts}")
    check_symbols(spec, signature)
    produced = [tensor.name for tensor in spec.outputs]
    if not set(signature.outputs) <= set(produced):
        astray = [name for name in signature.outputs if name not in produced]
        raise BadRequest(f"model {spec.name} gives the outputs {listed(produced)}, not {listed(astray)}")
    if not spec.counts_items:
        signature.rows = 1


def _check_emptiness(spec: ModelSpec, signature: Signature) -> None:
    """Refuse items without a byte that no other input has as many of: a head may claim any number of them."""
    tensors = [both for both in zip(spec.inputs, signature.inputs, strict=True) if both[0].has_batch_axis]
    filled = max([layout.shape[0] for _, layout in tensors if 0 not in layout.shape], default=1)
    for tensor, layout in tensors:
        if 0 in layout.shape and layout.shape[0] > filled:
            raise BadRequest(f"input {tensor.name} has {layout.shape[0]} items of nothing; send one")


def _hint(tensor: TensorSpec, shape: tuple[int, ...]) -> str:
    """What was most likely forgotten; empty where nobody can tell."""
    if tensor.has_batch_axis and len(shape) == len(tensor.shape) - 1:
        return f"; the first dimension counts the items: send {describe_shape((1, *shape))} for one"
    if not tensor.has_batch_axis and shape[:1] == (1,) and len(shape) == len(tensor.shape) + 1:
        return f"; it has no dimension that counts items: send {describe_shape(shape[1:])}"
    return ""


def _fits(tensor: TensorSpec, shape: tuple[int, ...], *, any_batch: bool) -> bool:
    if any_batch and shape[:1] > (0,):
        shape = (1, *shape[1:])
    return len(shape) == len(tensor.shape) and all(
        not isinstance(dim, int) or dim == size for dim, size in zip(tensor.shape, shape, strict=True)
    )
