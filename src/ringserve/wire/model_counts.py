"""What a worker counts of its models, as it tells gateways, and the sum over workers."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import msgspec

from ringserve.wire.frames import LinkError
from ringserve.wire.oip_pages import ModelStatistics

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ringserve.core.tensor import ModelSpec

    Instance = tuple[str, str, str]


class _Counted(msgspec.Struct):
    name: str
    version: str
    digest: str
    counted: ModelStatistics


def encode_counts(rows: Iterable[tuple[ModelSpec, ModelStatistics]]) -> str:
    """What is counted of each model, as JSON."""
    told = [_Counted(spec.name, spec.version, spec.digest, counted) for spec, counted in rows]
    return msgspec.json.encode(told).decode()


def decode_counts(text: str) -> dict[Instance, ModelStatistics]:
    """Read what `encode_counts` wrote: by name, version and digest of the file.

    Raises:
        LinkError: It is something else.
    """
    try:
        rows = msgspec.json.decode(text, type=list[_Counted])
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as cause:
        raise LinkError(f"a worker's statistics cannot be read: {cause}") from cause
    return {(row.name, row.version, row.digest): row.counted for row in rows}


def sum_of(counts: Iterable[ModelStatistics]) -> ModelStatistics:
    """What several workers count together."""
    rows = list(counts)
    totals = {field.name: sum(getattr(row, field.name) for row in rows) for field in fields(ModelStatistics)}
    totals["difference"] = max((row.difference for row in rows), default=0.0)
    return ModelStatistics(**totals)
