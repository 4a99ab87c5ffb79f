"""What `/v2` tells of a server and its models, as JSON-able data; gRPC tells the same.

A model that batches has a batch axis in its metadata, as -1 in front, and `max_batch_size` rows a request in
its config, whose dims leave that axis out; any other has 0 there, and both show its own shape. Clients that
measure servers rely on the two agreeing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from ringserve.core.tensor import DType
from ringserve.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ringserve.core.router.worker_state import Offer, Unready
    from ringserve.core.tensor import ModelSpec, TensorSpec

Page = dict[str, object]

SERVER_NAME = "ringserve"
EXTENSIONS = (
    "binary_tensor_data",
    "parameters",
    "statistics",
    "model_configuration",
    "model_repository",
    "classification",
)
"""Of the protocol's extensions, those that work here."""
_PLATFORM = "onnxruntime_onnx"
_ASKED_BYTES_MAX = 4096
"""Of the body of a request for the index; it holds one flag."""


@dataclass(frozen=True, slots=True)
class ModelStatistics:
    """What a server counts of one model; times are sums in seconds.

    Attributes:
        answered: Requests that got a result, from the cache too.
        total_s: From their receipt to their result.
        failed: Requests that got an error.
        hits: Answers from the cache.
        misses: Look-ups that found nothing.
        rows: Items that were run.
        runs: Runs of the model.
        queue_s: That requests waited for their run.
        run_s: That runs took.
        verified: Hits that were computed again and compared.
        differing: Of them, those that were not the same to the last bit.
        difference: The largest difference of one element so; the largest float where none can be told.
    """

    answered: int
    total_s: float
    failed: int
    hits: int = 0
    misses: int = 0
    rows: int = 0
    runs: int = 0
    queue_s: float = 0.0
    run_s: float = 0.0
    verified: int = 0
    differing: int = 0
    difference: float = 0.0


def server_metadata(version: str) -> Page:
    """`GET /v2`."""
    return {"name": SERVER_NAME, "version": version, "extensions": list(EXTENSIONS)}


def model_metadata(spec: ModelSpec, versions: Iterable[str]) -> Page:
    """`GET /v2/models/{model}`; `versions` are those of the name that are ready."""
    return {
        "name": spec.name,
        "versions": list(versions),
        "platform": _PLATFORM,
        "inputs": [_metadata(spec, tensor) for tensor in spec.inputs],
        "outputs": [_metadata(spec, tensor) for tensor in spec.outputs],
    }


def model_config(spec: ModelSpec) -> Page:
    """`GET /v2/models/{model}/config`."""
    page: Page = {
        "name": spec.name,
        "platform": _PLATFORM,
        "backend": "onnxruntime",
        "version_policy": {"latest": {"num_versions": 1}},
        "max_batch_size": spec.max_batch if spec.batching else 0,
        "input": [_config(spec, tensor) for tensor in spec.inputs],
        "output": [_config(spec, tensor) for tensor in spec.outputs],
        "response_cache": {"enable": spec.cacheable},
    }
    if spec.batching:
        page["dynamic_batching"] = {"preferred_batch_size": [spec.max_batch]}
    return page


def model_statistics(spec: ModelSpec, counted: ModelStatistics) -> Page:
    """One entry of `GET /v2/models/{model}/stats`, by the names that clients index."""
    run = {"count": counted.runs, "ns": _ns(counted.run_s)}
    nothing = {"count": 0, "ns": 0}
    return {
        "name": spec.name,
        "version": spec.version,
        "last_inference": 0,
        "inference_count": counted.rows,
        "execution_count": counted.runs,
        "inference_stats": {
            "success": {"count": counted.answered, "ns": _ns(counted.total_s)},
            "fail": {"count": counted.failed, "ns": 0},
            "queue": {"count": counted.answered, "ns": _ns(counted.queue_s)},
            "compute_input": nothing,
            "compute_infer": run,
            "compute_output": nothing,
            "cache_hit": {"count": counted.hits, "ns": 0},
            "cache_miss": {"count": counted.misses, "ns": 0},
        },
        "batch_stats": [],
        "cache_verification": {
            "count": counted.verified,
            "differing": counted.differing,
            "largest_difference": counted.difference,
        },
    }


def index(offers: Iterable[Offer], unready: Iterable[Unready]) -> list[Page]:
    """`POST /v2/repository/index`: what is ready, and what is known and is not."""
    rows = {
        (model.name, model.version): _index_row(model.name, model.version, model.state, model.reason)
        for model in unready
    }
    for offer in offers:
        name, version = offer.spec.name, offer.spec.version
        reason = str(rows.get((name, version), {}).get("reason", ""))
        rows[name, version] = _index_row(name, version, "READY", reason)
    return [rows[place] for place in sorted(rows, key=_in_order)]


def index_asked(rows: list[Page], body: bytes) -> list[Page]:
    """The rows that the body of such a request asks for: `{"ready": true}` asks for those that are ready.

    Raises:
        BadRequest: The body is neither empty nor such an object.
    """
    if not body:
        return rows
    try:
        asked = orjson.loads(body) if len(body) <= _ASKED_BYTES_MAX else None
    except orjson.JSONDecodeError:
        asked = None
    if not isinstance(asked, dict) or not isinstance(ready := asked.get("ready", False), bool):
        raise BadRequest('the body of an index request is empty, {}, or {"ready": true}; send one of these')
    return [row for row in rows if row["state"] == "READY"] if ready else rows


def _index_row(name: str, version: str, state: str, reason: str) -> Page:
    return {"name": name, "version": version, "state": state, "reason": reason}


def _in_order(place: tuple[str, str]) -> tuple[str, int, str]:
    name, version = place
    return name, int(version) if version.isdecimal() else 0, version


def _shape(tensor: TensorSpec) -> list[int]:
    return [dim if isinstance(dim, int) else -1 for dim in tensor.shape]


def _metadata(spec: ModelSpec, tensor: TensorSpec) -> Page:
    shape = _shape(tensor)
    if spec.batching and shape:
        shape[0] = -1
    return {"name": tensor.name, "datatype": tensor.dtype.name, "shape": shape}


def _config(spec: ModelSpec, tensor: TensorSpec) -> Page:
    shape = _shape(tensor)
    dtype = "STRING" if tensor.dtype is DType.BYTES else tensor.dtype.name
    dims = shape[1:] if spec.batching else shape
    return {"name": tensor.name, "data_type": f"TYPE_{dtype}", "dims": dims}


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)
