"""One batch: requests' bytes → arrays → a run → each request's bytes. The hot path of a worker.

What depends on the requests' shape only is worked out once, in a `RunPlan`; a run then costs one join,
one view as an array, the run itself, and one slice of bytes for each request. No numpy call is made for
each item.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct

import numpy as np

from ringserve.core.signature import Result, ResultLayout, Signature, TensorLayout
from ringserve.core.tensor import TensorSpec, describe_shape
from ringserve.engine.reasons import shorten
from ringserve.engine.runtime import Array, Session
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
        self._feed = _feeder(signature.inputs)
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
                    raise ModelFailed(
                        f"the output {spec.name!r} has the shape {describe_shape(shape)} for {rows} rows: "
                        "this model cannot share runs; start it with --batching off"
                    )
                shape = (self._rows, *shape[1:])
            layouts.append(TensorLayout(spec.name, spec.dtype, shape))
        answer = self._answers[key] = _Answer(layouts, count)
        return answer


class _Answer:
    """One shape of answer: the layout of each request's part, and how to cut each output into parts."""

    __slots__ = ("count", "cuts", "layout")

    def __init__(self, layouts: Sequence[TensorLayout], count: int) -> None:
        self.count = count
        self.layout = ResultLayout(tuple(layouts))
        # `struct` cuts bytes into equal pieces in one call, a third faster than slices in a loop.
        self.cuts = [Struct(f"{layout.byte_size}s" * count).unpack for layout in layouts]


_Feeder = Callable[[Sequence[bytes]], dict[str, Array]]


def _feeder(inputs: tuple[TensorLayout, ...]) -> _Feeder:
    """Make the function that turns payloads into the model's inputs."""
    return _feed_one_input(inputs[0]) if len(inputs) == 1 else _feed_inputs(inputs)


def _feed_one_input(layout: TensorLayout) -> _Feeder:
    name, dtype, shape = layout.name, layout.dtype.numpy, layout.shape
    rows, item = (shape[0], shape[1:]) if shape else (0, ())

    def feed(payloads: Sequence[bytes]) -> dict[str, Array]:
        count = len(payloads)
        if count == 1:
            return {name: np.frombuffer(payloads[0], dtype).reshape(shape)}
        return {name: np.frombuffer(b"".join(payloads), dtype).reshape((count * rows, *item))}

    return feed


def _feed_inputs(inputs: tuple[TensorLayout, ...]) -> _Feeder:
    pieces, start = [], 0
    for layout in inputs:
        pieces.append((layout, layout.dtype.numpy, start, start + layout.byte_size))
        start += layout.byte_size

    def feed(payloads: Sequence[bytes]) -> dict[str, Array]:
        arrays = {}
        for layout, dtype, start, end in pieces:
            # A slice is a copy, and so begins where the processor wants numbers to begin.
            block = b"".join([payload[start:end] for payload in payloads])
            shape = layout.shape
            if len(payloads) > 1:
                shape = (len(payloads) * shape[0], *shape[1:])
            arrays[layout.name] = np.frombuffer(block, dtype).reshape(shape)
        return arrays

    return feed
