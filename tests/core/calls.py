"""Calls whose answers a test can read."""

from __future__ import annotations

from ringserve.core.call import Call
from ringserve.core.signature import Key, Result, Signature, TensorLayout
from ringserve.core.tensor import DType
from ringserve.errors import ServeError

SIGNATURE = Signature("m", "", (TensorLayout("x", DType.UINT8, (1, 1)),))


class Noted(Call):
    """Keeps its outcomes: a result with where it came from, or an error."""

    __slots__ = ("outcomes",)

    outcomes: list[tuple[Result, bool] | ServeError]

    def answer(self, result: Result, node_id: str, cached: bool, time_us: int) -> None:
        self.outcomes.append((result, cached))

    def fail(self, error: ServeError) -> None:
        self.outcomes.append(error)


def noted(
    value: int,
    now: float = 0.0,
    deadline: float = 1e9,
    signature: Signature = SIGNATURE,
    payload: bytes | None = None,
) -> Noted:
    """A call whose key is this number, and its payload too unless it is told another."""
    payload = bytes([value % 256]) if payload is None else payload
    call = Noted(Key(value.to_bytes(16, "big")), signature, payload, now, deadline)
    call.outcomes = []
    return call
