"""One batch of requests with different numbers of rows: joined below one another, run, and cut by rows.

Which numbers of rows meet in a run differs each time, so less can be worked out beforehand than in a
`run_plan`, which runs requests that are alike: 0.7 us a request more.
"""

from __future__ import annotations

from collections.abc import Sequence

from ringserve.core.byte_strings import join
from ringserve.core.signature import Result, ResultLayout, Signature, TensorLayout
from ringserve.core.tensor import TensorSpec
from ringserve.engine.arrays import Array
from ringserve.engine.feeds import feed_mixed
from ringserve.engine.reasons import shorten
from ringserve.engine.run_plan import no_row_for_each
from ringserve.engine.runtime import Session
from ringserve.errors import ModelFailed

_LAYOUTS_MAX = 1024
"""Layouts of answers remembered for one group: a model may give another shape each time."""


class MixedPlan:
    """Runs requests of one group of signatures (`Signature.group`) together."""

    __slots__ = ("_layouts", "_names", "_outputs", "_run")

    def __init__(self, session: Session, outputs: Sequence[TensorSpec], signature: Signature) -> None:
        """Work out what does not change from run to run.

        Args:
            session: Runs the model, which batches.
            outputs: What is served of it.
            signature: One of the group, valid for this model.
        """
        self._run = session.run
        wanted = {spec.name: spec for spec in outputs}
        self._outputs = [wanted[name] for name in signature.outputs] if signature.outputs else list(outputs)
        self._names = [spec.name for spec in self._outputs]
        self._layouts: dict[tuple[int, tuple[tuple[int, ...], ...]], ResultLayout] = {}

    def run(self, signatures: Sequence[Signature], payloads: Sequence[bytes]) -> list[Result]:
        """Run the requests and give their answers in their order.

        Args:
            signatures: Of each request; every one has a row.
            payloads: Of each request.

        Raises:
            ModelFailed: The run failed, or an output has not one row for each row that went in.
        """
        feed = feed_mixed([signature.inputs for signature in signatures], payloads)
        try:
            outputs = self._run(self._names, feed)
        except Exception as error:  # the border: onnxruntime's errors share no base class
            raise ModelFailed(f"the model failed: {shorten(error)}") from error
        counts = [signature.rows for signature in signatures]
        total = sum(counts)
        for spec, output in zip(self._outputs, outputs, strict=True):
            if output.shape[:1] != (total,):
                raise no_row_for_each(spec, output, total)
        items = tuple([output.shape[1:] for output in outputs])
        layouts = [self._layouts.get((rows, items)) or self._remember(rows, items) for rows in counts]
        pieces = [_cut(output, total, counts) for output in outputs]
        if len(pieces) == 1:
            return [Result(layout, piece) for layout, piece in zip(layouts, pieces[0], strict=True)]
        return [Result(layout, b"".join(parts)) for layout, *parts in zip(layouts, *pieces, strict=True)]

    def _remember(self, rows: int, items: tuple[tuple[int, ...], ...]) -> ResultLayout:
        if len(self._layouts) >= _LAYOUTS_MAX:
            self._layouts.clear()
        pairs = zip(self._outputs, items, strict=True)
        layouts = tuple(TensorLayout(spec.name, spec.dtype, (rows, *item)) for spec, item in pairs)
        layout = self._layouts[rows, items] = ResultLayout(layouts)
        return layout


def _cut(output: Array, total: int, counts: Sequence[int]) -> list[bytes]:
    """Each request's rows of one output."""
    pieces, start = [], 0
    if output.dtype.kind == "O":
        texts = [text.encode() for text in output.ravel().tolist()]
        row = len(texts) // total
        for count in counts:
            end = start + count * row
            pieces.append(join(texts[start:end]))
            start = end
        return pieces
    data = output.tobytes()
    row = len(data) // total
    for count in counts:
        end = start + count * row
        pieces.append(data[start:end])
        start = end
    return pieces
