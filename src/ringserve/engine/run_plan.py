"""One batch: requests' bytes → arrays → a run → each request's bytes. The hot path of a worker.

What depends on the requests' shape only is worked out once, in a `RunPlan`; a run then costs one join,
one view as an array, the run itself, and one slice of bytes for each request. No numpy call is made for
each item.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

from ringserve.core.byte_strings import join
from ringserve.core.signature import Result, ResultLayout, Signature, TensorLayout
from ringserve.core.tensor import DType, TensorSpec, describe_shape
from ringserve.engine.arrays import Array
from ringserve.engine.feeds import feeder
from ringserve.engine.reasons import shorten
from ringserve.engine.runtime import Session
from ringserve.errors import ModelFailed

_ANSWERS_MAX = 256
"""Kinds of answers remembered for one kind of request: a model may give another shape each time."""


class RunPlan:
    """Runs requests of one signature, all at once or one after the other."""

    __slots__ = ("_answers", "_batching", "_feed", "_names", "_outputs", "_rows", "_run")

    def __init__(
        self, session: Session, outputs: Sequence[TensorSpec], signature: Signature, *, batching: bool
    ) -> None:
        """Work out what does not change from run to run.

        Args:
            session: Runs the model.
            outputs: What is served of it.
            signature: Valid for this model.
            batching: Whether requests share a run; else an output may have any shape.
        """
        self._run = session.run
        wanted = {spec.name: spec for spec in outputs}
        self._outputs = [wanted[name] for name in signature.outputs] if signature.outputs else list(outputs)
        self._names = [spec.name for spec in self._outputs]
        self._rows = signature.rows
        self._feed = feeder(signature.inputs)
        self._batching = batching
        self._answers: dict[tuple[tuple[int, ...], ...] | tuple[int, ...], _Answer] = {}

    def run(self, payloads: Sequence[bytes]) -> list[Result]:
        """Run the requests and give their answers in their order.

        Raises:
            ModelFailed: A run failed, or an output has not one row for each row that went in.
        """
        if self._batching:
            return self._run_together(payloads)
        return [self._run_together([payload])[0] for payload in payloads]

    def _run_together(self, payloads: Sequence[bytes]) -> list[Result]:
        feed = self._feed(payloads)
        try:
            outputs = self._run(self._names, feed)
        except Exception as error:  # the border: onnxruntime's errors share no base class
            raise ModelFailed(f"the model failed: {shorten(error)}") from error
        # With one output its shape is the key: a tuple of one shape would cost a third of a microsecond.
        key = outputs[0].shape if len(outputs) == 1 else tuple([output.shape for output in outputs])
        answer = self._answers.get(key)
        if answer is None or answer.count != len(payloads):
            answer = self._remember(key, outputs, len(payloads))
        layout = answer.layout
        if len(payloads) == 1:
            return [Result(layout, b"".join([output.tobytes() for output in outputs]))]
        if len(outputs) == 1:
            return [Result(layout, piece) for piece in answer.cuts[0](outputs[0].tobytes())]
        pieces = [cut(output.tobytes()) for cut, output in zip(answer.cuts, outputs, strict=True)]
        return [Result(layout, b"".join(parts)) for parts in zip(*pieces, strict=True)]

    def _remember(
        self, key: tuple[tuple[int, ...], ...] | tuple[int, ...], outputs: Sequence[Array], count: int
    ) -> _Answer:
        if len(self._answers) >= _ANSWERS_MAX:
            self._answers.clear()
        rows = self._rows * count
        layouts = []
        for spec, output in zip(self._outputs, outputs, strict=True):
            shape = output.shape
            if self._batching:
                if shape[:1] != (rows,):
                    raise no_row_for_each(spec, output, rows)
                shape = (self._rows, *shape[1:])
            layouts.append(TensorLayout(spec.name, spec.dtype, shape))
        answer = self._answers[key] = _Answer(layouts, count)
        return answer


class StringPlan(RunPlan):
    """The same where an output holds strings, whose sizes differ: each request's rows are put together."""

    __slots__ = ()

    def _run_together(self, payloads: Sequence[bytes]) -> list[Result]:
        feed, count = self._feed(payloads), len(payloads)
        try:
            outputs = self._run(self._names, feed)
        except Exception as error:  # the border: onnxruntime's errors share no base class
            raise ModelFailed(f"the model failed: {shorten(error)}") from error
        key = tuple([output.shape for output in outputs])
        answer = self._answers.get(key)
        if answer is None or answer.count != count:
            answer = self._remember(key, outputs, count)
        layout = answer.layout
        pieces = [_pieces(output, count) for output in outputs]
        return [Result(layout, b"".join(parts)) for parts in zip(*pieces, strict=True)]


def no_row_for_each(spec: TensorSpec, output: Array, rows: int) -> ModelFailed:
    """What is wrong where an output has not one row for each row that went in."""
    return ModelFailed(
        f"the output {spec.name!r} has the shape {describe_shape(output.shape)} for {rows} rows: "
        "this model cannot share runs; start it with --batching off"
    )


def make_plan(
    session: Session, outputs: Sequence[TensorSpec], signature: Signature, *, batching: bool
) -> RunPlan:
    """Make the plan for requests of this signature; arguments as those of `RunPlan`."""
    asked = [spec for spec in outputs if not signature.outputs or spec.name in signature.outputs]
    kind = StringPlan if any(spec.dtype is DType.BYTES for spec in asked) else RunPlan
    return kind(session, outputs, signature, batching=batching)


def _pieces(output: Array, count: int) -> list[bytes]:
    """Each request's bytes of one output."""
    rows = output.reshape(count, -1) if output.size else [output] * count
    if output.dtype.kind != "O":
        return [row.tobytes() for row in rows]
    return [join([text.encode() for text in row.ravel().tolist()]) for row in rows]


class _Answer:
    """One shape of answer: the layout of each request's part, and how to cut each output into parts."""

    __slots__ = ("count", "cuts", "layout")

    def __init__(self, layouts: Sequence[TensorLayout], count: int) -> None:
        self.count = count
        self.layout = ResultLayout(tuple(layouts))
        # `struct` cuts bytes into equal pieces in one call, a third faster than slices in a loop.
        self.cuts = [Struct(f"{layout.byte_size}s" * count).unpack for layout in layouts]
