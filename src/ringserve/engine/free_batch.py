"""A model whose batch is fixed at 1, rewritten so that any number of rows may go in.

Exporters often write down the shape of the one example they were given, although every operator of the model
would take more rows. Three things stand in their way, and are changed in a copy of the graph:

1. The first dimension of inputs and outputs is declared as 1: it gets a symbol instead.
2. The shapes of the tensors between them are noted: they are left out, and onnxruntime works them out.
3. `Reshape` is told a shape by a constant. If the rows are in any dimension of it, they are in the first, so
   -1 (what is left over) stands there from now on; for one row that is the number that was there before.
   Where -1 stands elsewhere, a first 1 becomes 0: the first dimension of what is reshaped.

Whether that is all, and whether the rows then stay apart, cannot be read off a graph. So the proof of
batching holds the copy against the model as it was (`probe`), and where it fails, that is served.
Reshape: https://onnx.ai/onnx/operators/onnx__Reshape.html; field numbers are those of onnx.proto.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable, Collection, Sequence
from itertools import count
from pathlib import Path

from ringserve.engine.model_file import ORT_MARK, ModelFile
from ringserve.engine.protobuf import Field, read_fields, read_numbers, to_signed, write_bytes, write_number

COPY_BYTES_MAX = 256 << 20
"""Larger models are left as they are: to make and prove a copy takes several times their memory."""

_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT, _GRAPH_VALUES = 1, 5, 11, 12, 13
_NODE_INPUT, _NODE_OUTPUT, _NODE_OP, _NODE_ATTRIBUTE, _NODE_DOMAIN = 1, 2, 4, 5, 7
_ATTRIBUTE_NAME, _ATTRIBUTE_INT, _ATTRIBUTE_TENSOR, _ATTRIBUTE_INTS = 1, 3, 5, 8
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_INT64, _TENSOR_NAME, _TENSOR_RAW = 1, 2, 7, 8, 9
_VALUE_NAME, _VALUE_TYPE, _TYPE_TENSOR, _TENSOR_SHAPE, _SHAPE_DIM = 1, 2, 1, 2, 1
_DIM_VALUE, _DIM_SYMBOL = 1, 2
_INT64 = 7
_DIMENSIONS_MAX = 64
_STANDARD_DOMAINS = frozenset({"", "ai.onnx"})


def free_copy(file: ModelFile, symbols: Collection[str]) -> bytes | None:
    """Copy a model with a free batch axis.

    Args:
        file: A model that takes one item a run, as all its inputs and outputs say.
        symbols: Names of its dimensions; the new one gets another.

    Returns:
        None where the file is not looked into: it is in onnxruntime's own format, its weights lie in other
        files, which are found by the model's path only, or it is very large.
    """
    if len(file.files) > 1 or file.path.stat().st_size > COPY_BYTES_MAX:
        return None
    model = _view(file.served) if isinstance(file.served, Path) else memoryview(file.served)
    if bytes(model[4:8]) == ORT_MARK:
        return None
    names = (f"batch{number or ''}" for number in count())
    return free_batch(model, next(name for name in names if name not in symbols))


def free_batch(model: memoryview, symbol: str) -> bytes:
    """Copy a model in which the first dimension of inputs and outputs is this symbol where it was 1.

    Raises:
        ValueError: The bytes are no model.
    """
    return _change(model, {_MODEL_GRAPH: lambda graph: _free_graph(graph, symbol)})


def _free_graph(graph: memoryview, symbol: str) -> bytes:
    constants = _Constants(list(read_fields(graph)))
    freed = _change(
        graph,
        {
            # Old files list their weights among the inputs.
            _GRAPH_INPUT: lambda value: _free_value(value, symbol, constants),
            _GRAPH_OUTPUT: lambda value: _free_value(value, symbol, constants),
            _GRAPH_NODE: lambda node: _free_node(node, constants),
            _GRAPH_VALUES: None,
        },
    )
    return freed + b"".join(write_bytes(_GRAPH_INITIALIZER, tensor) for tensor in constants.added)


def _free_value(value: memoryview, symbol: str, constants: _Constants) -> bytes:
    name = next((field.text for field in read_fields(value) if field.tag == _VALUE_NAME), "")
    if name in constants.tensors:
        return bytes(value)

    def free_tensor(tensor: memoryview) -> bytes:
        return _change(tensor, {_TENSOR_SHAPE: lambda shape: _free_shape(shape, symbol)})

    return _change(value, {_VALUE_TYPE: lambda kind: _change(kind, {_TYPE_TENSOR: free_tensor})})


def _free_shape(shape: memoryview, symbol: str) -> bytes:
    parts: list[bytes | memoryview] = []
    for place, field in enumerate(read_fields(shape)):
        fixed = any(part.tag == _DIM_VALUE and part.number == 1 for part in read_fields(field.data))
        if place == 0 and field.tag == _SHAPE_DIM and fixed:
            parts.append(write_bytes(_SHAPE_DIM, write_bytes(_DIM_SYMBOL, symbol.encode())))
        else:
            parts.append(field.raw)
    return b"".join(parts)


class _Constants:
    """The constants of a graph by name, and those that are `added` to it."""

    def __init__(self, graph: Sequence[Field]) -> None:
        self.added: list[bytes] = []
        self.tensors: dict[str, Callable[[], list[int]]] = {}
        for part in graph:
            if part.tag == _GRAPH_INITIALIZER:
                name = next((field.text for field in read_fields(part.data) if field.tag == _TENSOR_NAME), "")
                self.tensors[name] = lambda tensor=part.data: _read_tensor(tensor)  # type: ignore[misc]
            elif part.tag == _GRAPH_NODE:
                self._add_node(list(read_fields(part.data)))

    def _add_node(self, node: list[Field]) -> None:
        if not any(field.tag == _NODE_OP and field.text == "Constant" for field in node):
            return
        for output in node:
            if output.tag == _NODE_OUTPUT:
                self.tensors[output.text] = lambda: _read_constant(node)

    def add(self, numbers: Sequence[int]) -> str:
        """Add a list of whole numbers; returns its name."""
        names = (f"free_batch_{number}" for number in count(len(self.added)))
        name = next(name for name in names if name not in self.tensors)
        self.tensors[name] = lambda: list(numbers)
        self.added.append(
            write_number(_TENSOR_DIMS, len(numbers))
            + write_number(_TENSOR_TYPE, _INT64)
            + write_bytes(_TENSOR_NAME, name.encode())
            + write_bytes(_TENSOR_RAW, struct.pack(f"<{len(numbers)}q", *numbers))
        )
        return name


def _free_node(node: memoryview, constants: _Constants) -> bytes:
    fields = list(read_fields(node))
    inputs = [field.text for field in fields if field.tag == _NODE_INPUT]
    if len(inputs) < 2 or inputs[1] not in constants.tensors or not _is_reshape(fields):  # noqa: PLR2004
        return bytes(node)
    shape = _free_target(constants.tensors[inputs[1]](), of_constant=inputs[0] in constants.tensors)
    if shape is None:
        return bytes(node)
    inputs[1] = constants.add(shape)
    others = [field.raw for field in fields if field.tag != _NODE_INPUT]
    return b"".join([*(write_bytes(_NODE_INPUT, name.encode()) for name in inputs), *others])


def _is_reshape(node: Sequence[Field]) -> bool:
    """Whether the node is a Reshape for which 0 means to copy a dimension: it has no `allowzero`."""
    op = [field.text for field in node if field.tag == _NODE_OP]
    domain = [field.text for field in node if field.tag == _NODE_DOMAIN]
    attributes = [read_fields(field.data) for field in node if field.tag == _NODE_ATTRIBUTE]
    zeros = any(part.tag == _ATTRIBUTE_INT and part.number for fields in attributes for part in fields)
    return op == ["Reshape"] and _STANDARD_DOMAINS.issuperset(domain) and not zeros


def _free_target(shape: list[int], *, of_constant: bool) -> list[int] | None:
    """The shape that leaves the rows open; None where it does already, or where nobody can tell."""
    if not shape or shape[0] in {0, -1}:
        return None
    if -1 not in shape:
        return [-1, *shape[1:]]
    return [0, *shape[1:]] if shape[0] == 1 and not of_constant else None


def _read_constant(node: Sequence[Field]) -> list[int]:
    """The whole numbers of a Constant; none where it holds something else."""
    for attribute in node:
        if attribute.tag == _NODE_ATTRIBUTE:
            parts = list(read_fields(attribute.data))
            for part in parts:
                if part.tag == _ATTRIBUTE_TENSOR:
                    return _read_tensor(part.data)
            numbers = [
                number for part in parts if part.tag == _ATTRIBUTE_INTS for number in _numbers_of(part)
            ]
            if numbers:
                return numbers
    return []


def _read_tensor(tensor: memoryview) -> list[int]:
    """The numbers of a list of int64; none where the tensor is anything else."""
    kind, dimensions, numbers = 0, 0, []
    for field in read_fields(tensor):
        if field.tag == _TENSOR_TYPE:
            kind = field.number
        elif field.tag == _TENSOR_DIMS:
            dimensions += len(_numbers_of(field))
        elif field.tag == _TENSOR_INT64:
            numbers += _numbers_of(field)
        elif field.tag == _TENSOR_RAW and len(field.data) in range(0, 8 * _DIMENSIONS_MAX, 8):
            numbers += struct.unpack(f"<{len(field.data) // 8}q", field.data)
    return numbers if kind == _INT64 and dimensions == 1 else []


def _numbers_of(field: Field) -> list[int]:
    """The whole numbers of a repeated field, which stand in it one by one, or packed as bytes."""
    return read_numbers(field.data, _DIMENSIONS_MAX) if field.data else [to_signed(field.number)]


def _view(path: Path) -> memoryview:
    with path.open("rb") as opened:
        return memoryview(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))


def _change(message: memoryview, changes: dict[int, Callable[[memoryview], bytes] | None]) -> bytes:
    """Copy a message with the fields of some tags changed, or left out."""
    parts: list[bytes | memoryview] = []
    for part in read_fields(message):
        if part.tag not in changes:
            parts.append(part.raw)
        elif (change := changes[part.tag]) is not None:
            parts.append(write_bytes(part.tag, change(part.data)))
    return b"".join(parts)
