"""A request of more rows than one run takes: it runs in slices, and is answered once.

A `Whole` is one flight, with its place in the table of flights and in the cache, which others may join. It
waits in the queue as one entry, whatever its size, and gives off one slice for each run, so that a request
of a million rows costs no million entries; admission lets one of any size into an empty queue. A slice is as
large as the room in the run that it is for: the first may share its run with what came before, the last with
what comes behind. A slice has no callers of its own: `calls` is the very table of its whole, so nobody waits
for any slice once nobody waits for the whole.

    Whole ── queued ──cut──▶ Slice ── run ──▶ place ── all landed ──▶ one answer
                              └─ failed ──▶ the whole fails; what is still queued of it is abandoned

A slice's bytes are cut where it runs, in the engine's thread: one tensor's rows lie side by side in a
payload, so a slice is one piece of each tensor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringserve.core.byte_strings import find_ends, measure
from ringserve.core.signature import Result, ResultLayout, Signature, TensorLayout
from ringserve.core.single_flight import Flight
from ringserve.core.tensor import DType, count_elements, describe_shape
from ringserve.errors import ModelFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringserve.core.call import Call


class Slice(Flight):
    """Some rows of a whole, which run like any flight of that shape.

    Attributes:
        whole: What it is a part of.
        number: Its place among the slices.
    """

    __slots__ = ("_pieces", "_source", "number", "whole")
    whole: Whole

    def __init__(
        self, whole: Whole, signature: Signature, number: int, pieces: list[tuple[int, int]]
    ) -> None:
        """Begin with everybody who waits for the whole; `pieces` say where the bytes of its tensors are."""
        self.key = whole.key
        self.signature = signature
        self.rows = signature.rows
        self.queued_at = whole.queued_at
        self.running = False
        self.calls = whole.calls
        self.whole = whole
        self.number = number
        self._source = whole.payload
        self._pieces = pieces

    @property
    def payload(self) -> bytes:
        """The bytes of its rows, cut anew each time."""
        source = self._source
        return b"".join([source[start:end] for start, end in self._pieces])

    @payload.setter
    def payload(self, payload: bytes) -> None:
        self._source = payload


class Whole(Flight):
    """A flight that runs in slices.

    Attributes:
        rows: Those that wait in the queue.
        missing: Those whose results have not landed.
    """

    __slots__ = ("_at", "_given", "_results", "_shapes", "missing")

    def __init__(self, call: Call, now: float) -> None:
        """Begin with the first call; its payload is framed as its signature says."""
        super().__init__(call, now)
        self._results: dict[int, tuple[Result, int]] = {}
        self._at = [0, *find_ends(self.signature.inputs, self.payload)[:-1]]
        self._given = 0
        self._shapes: dict[int, Signature] = {}
        self.missing = self.rows

    @property
    def whole(self) -> Whole:  # type: ignore[override]
        """Itself: so a whole and its slices name the same flight."""
        return self

    def waiting(self) -> list[Flight]:
        """What of it is in the queue."""
        return [self] if self.rows else []

    def take(self, rows: int) -> Slice:
        """Give off the next slice, of so many rows, for a run; `rows` become fewer by as many."""
        signature = self._shapes.get(rows)
        if signature is None:
            signature = self._shapes[rows] = _of_rows(self.signature, rows)
        pieces = []
        for index, layout in enumerate(signature.inputs):
            start = self._at[index]
            if layout.dtype is DType.BYTES:
                end = measure(self.payload, start, count_elements(layout.shape))
            else:
                end = start + layout.byte_size
            self._at[index] = end
            pieces.append((start, end))
        self.rows -= rows
        self.running = True
        self._given += 1
        return Slice(self, signature, self._given - 1, pieces)

    def place(self, part: Slice, result: Result) -> Result | ModelFailed | None:
        """Note the result of a slice.

        Returns:
            None while slices are missing; else the one answer, or why there is none: an output has not one
            row for each that went in, or its rows came out in different shapes.
        """
        self._results[part.number] = result, part.rows
        self.missing -= part.rows
        if self.missing:
            return None
        landed = [self._results[number] for number in range(self._given)]
        return _join([result for result, _ in landed], [rows for _, rows in landed])


def _of_rows(signature: Signature, rows: int) -> Signature:
    """The signature of a request for so many rows that is like this one else."""
    inputs = tuple(TensorLayout(one.name, one.dtype, (rows, *one.shape[1:])) for one in signature.inputs)
    return Signature(signature.model, signature.version, inputs, signature.outputs)


def _join(results: Sequence[Result], rows: Sequence[int]) -> Result | ModelFailed:
    """Put results with so many rows each below one another."""
    first = results[0].layout.outputs
    checked: tuple[ResultLayout | None, int] = (None, 0)
    for result, count in zip(results, rows, strict=True):
        if checked == (result.layout, count):
            continue
        for output, other in zip(first, result.layout.outputs, strict=True):
            if other.shape[:1] != (count,) or other.shape[1:] != output.shape[1:]:
                return ModelFailed(
                    f"the output {other.name!r} has the shape {describe_shape(output.shape)} for {rows[0]} "
                    f"rows and {describe_shape(other.shape)} for {count}, which make no one tensor; send "
                    "one row a request"
                )
        checked = result.layout, count
    total = sum(rows)
    layouts = tuple(TensorLayout(one.name, one.dtype, (total, *one.shape[1:])) for one in first)
    if len(first) == 1:
        return Result(ResultLayout(layouts), b"".join([result.payload for result in results]))
    tensors: list[list[bytes]] = [[] for _ in first]
    for result in results:
        start = 0
        for tensor, end in zip(tensors, find_ends(result.layout.outputs, result.payload), strict=True):
            tensor.append(result.payload[start:end])
            start = end
    return Result(ResultLayout(layouts), b"".join([b"".join(tensor) for tensor in tensors]))
