"""A request of more rows than one run takes: it runs in slices, and is answered once.

A `Whole` is one flight, with its place in the table of flights and in the cache, which others may join. It
waits in the queue as one entry, whatever its size, and gives off one slice for each run, so that a request
of a million rows costs no million entries; admission lets one of any size into an empty queue. Its first
slice takes the rows that are left over, so that all others are full: that one is queued on its own, and
shares a run with other requests of as many rows. A slice has no callers of its own: `calls` is the very
table of its whole, so nobody waits for any slice once nobody waits for the whole.

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
        rows: Those that wait in its own entry of the queue; always a multiple of what one run takes.
        missing: Slices that have not landed.
    """

    __slots__ = ("_at", "_next", "_rest", "_results", "_rows_max", "_shape", "missing")

    def __init__(self, call: Call, now: float, rows_max: int) -> None:
        """Begin with the first call.

        Args:
            call: It has more rows than `rows_max`; its payload is framed as its signature says.
            now: The time.
            rows_max: Rows a run at most.
        """
        super().__init__(call, now)
        total, left_over = self.rows, self.rows % rows_max
        self._rows_max = rows_max
        self._results: dict[int, Result] = {}
        inputs = self.signature.inputs
        self._at = [0, *find_ends(inputs, self.payload)[:-1]]
        self._next = 0
        self.missing = -(-total // rows_max)
        self._rest = self._take(_of_rows(self.signature, left_over)) if left_over else None
        self.rows = total - left_over
        self._shape = _of_rows(self.signature, rows_max)

    @property
    def whole(self) -> Whole:  # type: ignore[override]
        """Itself: so a whole and its slices name the same flight."""
        return self

    def waiting(self) -> list[Flight]:
        """What of it is in the queue: the slice of the rows left over, and the rest."""
        if self._rest is not None and self._rest.running:
            self._rest = None  # it knows its whole: a pair that knew each other would outlive the request
        return [flight for flight in (self._rest, self if self.rows else None) if flight is not None]

    def take(self) -> Slice:
        """Give off the next full slice, for a run; `rows` become fewer."""
        self.rows -= self._rows_max
        part = self._take(self._shape)
        part.running = True
        return part

    def place(self, part: Slice, result: Result) -> Result | ModelFailed | None:
        """Note the result of a slice.

        Returns:
            None while slices are missing; else the one answer, or why there is none: an output has not one
            row for each that went in, or its rows came out in different shapes.
        """
        if part is self._rest:
            self._rest = None
        self._results[part.number] = result
        self.missing -= 1
        if self.missing:
            return None
        rows = [self._rows_max] * len(self._results)
        rows[0] = self.signature.rows - sum(rows[1:])
        return _join([self._results[number] for number in range(len(rows))], rows)

    def _take(self, signature: Signature) -> Slice:
        pieces = []
        for index, layout in enumerate(signature.inputs):
            start = self._at[index]
            if layout.dtype is DType.BYTES:
                end = measure(self.payload, start, count_elements(layout.shape))
            else:
                end = start + layout.byte_size
            self._at[index] = end
            pieces.append((start, end))
        self._next += 1
        return Slice(self, signature, self._next - 1, pieces)


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
