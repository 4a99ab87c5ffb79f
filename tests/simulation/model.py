"""The toy model: what it computes, what makes it fail or kill its process, and how long it takes."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from ringserve.core.batcher import Batch
from ringserve.core.run_place import RunPlace
from ringserve.core.signature import Result, ResultLayout, Signature, TensorLayout
from ringserve.core.tensor import DType, ModelSpec, TensorSpec
from ringserve.errors import ServeError
from tests.simulation.models import FACTOR

if TYPE_CHECKING:
    from ringserve.core.node import Node
    from tests.simulation.models import Place
    from tests.simulation.process import WorkerProcess

WIDTHS = (8, 12)
ROWS_MAX = 20


class Kind(enum.IntEnum):
    """What a row does to the model: its first byte. In a request one row has the request's kind."""

    PLAIN = 0
    FAILING = 1
    POISON = 2


def spec_of(place: Place, digest: str, max_batch: int, cacheable: bool, fixed: bool) -> ModelSpec:
    """Describe a model; a fixed one takes one row a run and says so."""
    tensor = (TensorSpec("x", DType.UINT8, (1 if fixed else None, None)),)
    return ModelSpec(*place, digest, tensor, tensor, max_batch > 1, max_batch, cacheable, "CPU")


def signature_of(asked: Place, rows: int, width: int) -> Signature:
    """The layout of a request for this name and version."""
    return Signature(*asked, (TensorLayout("x", DType.UINT8, (rows, width)),))


def payload_of(kind: Kind, number: int, rows: int, width: int) -> bytes:
    """The input of this number; no two rows of it are equal, and the one in the middle is of the kind."""
    kinds = [kind if row == rows // 2 else Kind.PLAIN for row in range(rows)]
    numbers = [(number * ROWS_MAX + row).to_bytes(width - 1, "little") for row in range(rows)]
    return b"".join(bytes([one]) + its for one, its in zip(kinds, numbers, strict=True))


def kinds_in(batch: Batch) -> set[int]:
    """The kinds of all rows of a batch."""
    width = batch.signature.inputs[0].shape[1]
    return {kind for flight in batch.flights for kind in flight.payload[::width]}


def right_answer(digest: str, payload: bytes) -> bytes:
    """Compute the model."""
    factor = FACTOR[digest]
    return bytes((factor * byte + 1) & 255 for byte in payload)


@dataclass(frozen=True)
class Pace:
    """How long runs take.

    Attributes:
        run_s: What any run takes.
        row_s: What each row adds.
        slots: Runs at a time.
        inline: Whether a run happens in the event loop, within the very call that starts it.
    """

    run_s: float
    row_s: float
    slots: int
    inline: bool

    def seconds(self, rows: int) -> float:
        """How long a run of so many rows takes."""
        return 0.0 if self.inline else self.run_s + rows * self.row_s


class SimEngine:
    """Stands for an engine whose warm-up was done.

    Attributes:
        node: The node whose runs it does.
    """

    def __init__(self, process: WorkerProcess, spec: ModelSpec, pace: Pace) -> None:
        self.process = process
        self.spec = spec
        self.pace = pace
        self.slots = pace.slots
        self.rows_max = spec.max_batch
        self.provider = "cpu"
        self.single_run_s = pace.seconds(1)
        self.full_batch_s = pace.seconds(spec.max_batch)
        self.slowest_run_s = 1.5 * self.full_batch_s
        self.node = cast("Node", None)


Outcome = Sequence[Result] | ServeError
Finished = Callable[[Batch, Outcome, float], None]


class SimRuns:
    """Stands for the threads: the process decides when a run ends, and how."""

    def __init__(self, engine: SimEngine, place: RunPlace, slots: int, finished: Finished) -> None:
        self._engine = engine
        self._finished = finished

    def start(self, batch: Batch) -> None:
        """Begin a run; the process may die of it."""
        self._engine.process.run(self._engine, batch, self._finished)


_layouts: dict[bytes, ResultLayout] = {}


def results_of(digest: str, batch: Batch) -> list[Result]:
    """Compute a batch."""
    shapes = batch.signatures() or [batch.signature] * len(batch.flights)
    return [
        Result(_layout_of(shape), right_answer(digest, flight.payload))
        for shape, flight in zip(shapes, batch.flights, strict=True)
    ]


def _layout_of(signature: Signature) -> ResultLayout:
    known = _layouts.get(signature.encoded)
    if known is None:
        (layout,) = signature.inputs
        known = _layouts[signature.encoded] = ResultLayout((TensorLayout("y", layout.dtype, layout.shape),))
    return known


def slower(pace: Pace, factor: float) -> Pace:
    """The same engine on a busier machine."""
    return replace(pace, run_s=pace.run_s * factor, row_s=pace.row_s * factor)
