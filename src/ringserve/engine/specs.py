"""What a session's inputs and outputs are in our terms, and which of them cannot be served."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ringserve.core.tensor import Dim, DType, TensorSpec
from ringserve.engine.runtime import Argument, Session
from ringserve.errors import UsageError


def read_inputs(session: Session, model: str) -> tuple[TensorSpec, ...]:
    """Describe the inputs in the model's order.

    Raises:
        UsageError: The model has none, or one of a type that cannot be served.
    """
    specs = []
    for argument in session.get_inputs():
        spec = _spec(argument)
        if spec is None:
            raise UsageError(
                f"model {model!r} cannot be served: its input {argument.name!r} is of type {argument.type}; "
                "export it with tensors of numbers, booleans or strings"
            )
        specs.append(spec)
    if not specs:
        raise UsageError(f"model {model!r} cannot be served: it has no inputs")
    return tuple(specs)


def read_outputs(session: Session, model: str, say: Callable[[str], None]) -> tuple[TensorSpec, ...]:
    """Describe the outputs that can be served, in the model's order; one line tells of the others.

    Raises:
        UsageError: None can be served.
    """
    arguments = session.get_outputs()
    specs = [spec for spec in map(_spec, arguments) if spec is not None]
    names = {spec.name for spec in specs}
    left_out = [argument for argument in arguments if argument.name not in names]
    listed = ", ".join(f"{argument.name!r} of type {argument.type}" for argument in left_out)
    mend = "export it with tensors of numbers, booleans or strings (skl2onnx: zipmap=False)"
    if not specs:
        raise UsageError(f"model {model!r} cannot be served: its outputs are {listed or 'none'}; {mend}")
    if left_out:
        say(f"model {model!r}: left out are the outputs {listed}; to have them served, {mend}")
    return tuple(specs)


def with_ranks(outputs: Sequence[TensorSpec], ranks: Sequence[int]) -> tuple[TensorSpec, ...]:
    """Open as many dimensions as an output has where onnxruntime cannot tell their number, and so says none.

    Args:
        outputs: As described by the session.
        ranks: The dimensions each had in a run; empty where nothing has run.
    """
    if not ranks:
        return tuple(outputs)
    return tuple(
        replace(spec, shape=(None,) * rank) if spec.shape == () else spec
        for spec, rank in zip(outputs, ranks, strict=True)
    )


def why_not_batched(inputs: Sequence[TensorSpec]) -> str:
    """The reason why the shapes alone rule out that items share a run; empty when they do not."""
    for spec in inputs:
        if not spec.has_batch_axis:
            return f"its input {spec.name!r} has no batch axis"
        if spec.shape[0] == 1:
            return f"its input {spec.name!r} has a fixed batch of 1"
    batches = {spec.shape[0] for spec in inputs if isinstance(spec.shape[0], str)}
    for spec in inputs:
        for dim in spec.item_shape:
            if isinstance(dim, str) and dim in batches:
                return f"the batch dimension {dim!r} is a dimension of one item as well"
    return ""


def _spec(argument: Argument) -> TensorSpec | None:
    """The argument as a tensor; None for everything else."""
    dtype = DType.from_onnx(argument.type)
    if dtype is None:
        return None
    return TensorSpec(argument.name, dtype, tuple(_dim(dim) for dim in argument.shape))


def _dim(dim: Dim) -> Dim:
    """Some exporters write -1, or a symbol that is no name, for what is open."""
    return None if dim in ("", "?", "-1", "None") or (isinstance(dim, int) and dim < 0) else dim
