"""What both kinds of server show of the model they serve."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringserve.core.tensor import ModelSpec, TensorSpec


def describe_model(spec: ModelSpec | None) -> tuple[int, dict[str, object]]:
    """`GET /model`: name, version and tensors; a dimension that is open is -1."""
    if spec is None:
        return 503, {"error": "no model is served yet"}
    return 200, {
        "name": spec.name,
        "version": spec.version,
        "inputs": [_tensor(tensor) for tensor in spec.inputs],
        "outputs": [_tensor(tensor) for tensor in spec.outputs],
        "batching": spec.batching,
        "max_batch": spec.max_batch,
        "platform": spec.platform,
    }


def _tensor(tensor: TensorSpec) -> dict[str, object]:
    shape = [dim if isinstance(dim, int) else -1 for dim in tensor.shape]
    return {"name": tensor.name, "datatype": tensor.dtype.name, "shape": shape}
