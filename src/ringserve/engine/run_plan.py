"""One batch: requests' bytes → arrays → a run → each request's bytes. The hot path of a worker.

What depends on the requests' shape only is worked out once, in a `RunPlan`; a run then costs one join,
one view as an array, the run itself, and one slice of bytes for each request. No numpy call is made for
each item.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ringserve.core.signature import Result, ResultLayout, Signature, TensorLayout
from ringserve.core.tensor import TensorSpec, describe_shape
from ringserve.engine.reasons import shorten
from ringserve.engine.runtime import Array, Session
from ringserve.errors import ModelFailed

_LAYOUTS_MAX = 256
"""Kinds of answers remembered for one kind of request: a model may give another shape each time."""


class RunPlan:
    """Runs requests of one signature."""

    __slots__ = ("_feed", "_layouts", "_names", "_outputs", "_rows", "_run")

    def __init__(self, session: Session, outputs: Sequence[TensorSpec], signature: Signature) -> None:
        """Work out what does not change from run to run.

        Args:
            session: Runs the model.
            outputs: What is served of it.
            signature: Valid for this model.
        """
        self._run = session.run
        wanted = {spec.name: spec for spec in outputs}
        self._outputs = [wanted[name] for name in signature.outputs] if signature.outputs else list(outputs)
        self._names = [spec.name for spec in self._outputs]
        self._rows = signature.rows
        self._feed = _feeder(signature.inputs)
        self._layouts: dict[tuple[tuple[int, ...], ...], tuple[ResultLayout, list[int]]] = {}

    def run_together(self, payloads: Sequence[bytes]) -> list[Result]:
        """Run all requests at once and split the answer by their rows.

        Raises:
            ModelFailed: The run failed, or its outputs do not have one row for each row that went in.
        """
        count = len(payloads)
        outputs = self._compute(payloads)
        layout, sizes = self._layout(outputs, count)
        if len(outputs) == 1:
            block, size = outputs[0].tobytes(), sizes[0]
            if count == 1:
                return [Result(layout, block)]
            return (
                [Result(layout, block[at : at + size]) for at in range(0, count * size, size)]
                if size
                else [Result(layout, b"") for _ in payloads]
            )
        blocks = [(output.tobytes(), size) for output, size in zip(outputs, sizes, strict=True)]
        return [
            Result(layout, b"".join([block[size * item : size * (item + 1)] for block, size in blocks]))
            for item in range(count)
        ]

    def run_one(self, payload: bytes) -> Result:
        """Run one request by itself; its outputs may have any shape.

        Raises:
            ModelFailed: The run failed.
        """
        outputs = self._compute([payload])
        layout, _ = self._layout(outputs, 0)
        return Result(layout, b"".join([output.tobytes() for output in outputs]))

    def _compute(self, payloads: Sequence[bytes]) -> list[Array]:
        feed = self._feed(payloads)
        try:
            return self._run(self._names, feed)
        except Exception as error:  # the border: onnxruntime's errors share no base class
            raise ModelFailed(f"the model failed: {shorten(error)}") from error

    def _layout(self, outputs: Sequence[Array], count: int) -> tuple[ResultLayout, list[int]]:
        """The layout of one request's answer, and each output's bytes in it; 0 requests: of the whole."""
        key = (*[output.shape for output in outputs], (count,))
        known = self._layouts.get(key)
        if known is None:
            if len(self._layouts) >= _LAYOUTS_MAX:
                self._layouts.clear()
            known = self._layouts[key] = self._new_layout(outputs, count)
        return known

    def _new_layout(self, outputs: Sequence[Array], count: int) -> tuple[ResultLayout, list[int]]:
        layouts = []
        for spec, output in zip(self._outputs, outputs, strict=True):
            shape = output.shape
            if count:
                rows = self._rows * count
                if not shape or shape[0] != rows:
                    raise ModelFailed(
                        f"the output {spec.name!r} has the shape {describe_shape(shape)} for {rows} rows: "
                        "this model cannot share runs; start it with --batching off"
                    )
                shape = (self._rows, *shape[1:])
            layouts.append(TensorLayout(spec.name, spec.dtype, shape))
        return ResultLayout(tuple(layouts)), [layout.byte_size for layout in layouts]


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
