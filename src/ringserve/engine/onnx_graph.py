"""The nodes and constant tensors of an ONNX file, subgraphs and local functions included.

Field numbers are those of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import iter_unpack

from ringserve.engine.protobuf import EMPTY, Field, read_fields, read_numbers, to_signed

_MODEL_GRAPH, _MODEL_FUNCTION = 7, 25
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_INPUT = 1, 5, 11
_VALUE_NAME = 1
_FUNCTION_NAME, _FUNCTION_NODE, _FUNCTION_DOMAIN = 1, 7, 10
_NODE_INPUT, _NODE_OUTPUT, _NODE_OP, _NODE_ATTRIBUTE, _NODE_DOMAIN = 1, 2, 4, 5, 7
_ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH, _ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS = 5, 6, 10, 11
_ATTRIBUTE_NAME, _ATTRIBUTE_INTS, _ATTRIBUTE_STRINGS = 1, 8, 9
_TENSOR_TYPE, _TENSOR_INT32, _TENSOR_STRING, _TENSOR_INT64 = 2, 5, 6, 7
_TENSOR_NAME, _TENSOR_RAW, _TENSOR_EXTERNAL = 8, 9, 13
_INT64 = 7
"""The element type's number."""
_ENTRY_KEY, _ENTRY_VALUE = 1, 2
_ANSWERS = frozenset({"classlabels_strings", "values_strings"})
"""Attributes with strings that a node gives, and does not look for in its input."""
_CATEGORIES = frozenset({"cats_strings", "cats_int64s", "keys_strings", "keys_int64s"})
"""Attributes with the values that an encoder of a column knows."""
_TEXTS_MAX = 64
"""Strings or whole numbers kept of one node or constant; a vocabulary may have a million."""


@dataclass(slots=True)
class Tensor:
    """A constant; `location` names the file its numbers are in, empty when they are in the model.

    `numbers` holds only `raw_data` or `int32_data` as they stand: enough to know a small constant. `integers`
    are the first ones of an int64 tensor.
    """

    name: str = ""
    location: str = ""
    numbers: memoryview = EMPTY
    integers: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Node:
    """One node, with the constants among its attributes.

    `texts` are some of the strings it may look for; `categories` are some of what an encoder knows.
    """

    op: str = ""
    domain: str = ""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    tensors: list[Tensor] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    categories: tuple[str | int, ...] = ()


@dataclass(slots=True)
class Scope:
    """One graph or function body; `outer` is the graph around it, whose names it may use.

    `domain` and `op` are what nodes call a function by; `inputs` are those of a graph.
    """

    outer: Scope | None = None
    is_main: bool = False
    domain: str = ""
    op: str = ""
    inputs: list[str] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    initializers: list[Tensor] = field(default_factory=list)

    def find_constant(self, name: str) -> Tensor | None:
        """Find a constant by name, here or in the graphs around."""
        for tensor in self.initializers:
            if tensor.name == name:
                return tensor
        for node in self.nodes:
            if node.op == "Constant" and name in node.outputs and node.tensors:
                return node.tensors[0]
        return None if self.outer is None else self.outer.find_constant(name)


def read_scopes(model: memoryview) -> Iterator[Scope]:
    """Yield the main graph, every local function, and every subgraph in them.

    Raises:
        ValueError: The bytes are no ONNX model.
    """
    waiting: list[tuple[memoryview, int, Scope | None]] = []
    for part in read_fields(model):
        if part.tag == _MODEL_GRAPH:
            waiting.append((part.data, _GRAPH_NODE, None))
        elif part.tag == _MODEL_FUNCTION:
            waiting.append((part.data, _FUNCTION_NODE, None))
    if not waiting:
        raise ValueError("no graph in the file")
    while waiting:  # a list, not recursion: subgraphs in a hostile file may nest without end
        message, node_tag, outer = waiting.pop()
        scope = Scope(outer, is_main=outer is None and node_tag == _GRAPH_NODE)
        for part in read_fields(message):
            if part.tag == node_tag:
                node, subgraphs = _read_node(part.data)
                scope.nodes.append(node)
                waiting.extend((graph, _GRAPH_NODE, scope) for graph in subgraphs)
            elif node_tag == _GRAPH_NODE:
                _read_graph(part, scope)
            else:
                _read_function(part, scope)
        yield scope


def _read_graph(part: Field, graph: Scope) -> None:
    if part.tag == _GRAPH_INITIALIZER:
        graph.initializers.append(_read_tensor(part.data))
    elif part.tag == _GRAPH_INPUT:
        graph.inputs += [value.text for value in read_fields(part.data) if value.tag == _VALUE_NAME]


def _read_function(part: Field, function: Scope) -> None:
    if part.tag == _FUNCTION_NAME:
        function.op = part.text
    elif part.tag == _FUNCTION_DOMAIN:
        function.domain = part.text


def _read_node(message: memoryview) -> tuple[Node, list[memoryview]]:
    node, subgraphs = Node(), []
    for part in read_fields(message):
        if part.tag == _NODE_INPUT:
            node.inputs.append(part.text)
        elif part.tag == _NODE_OUTPUT:
            node.outputs.append(part.text)
        elif part.tag == _NODE_OP:
            node.op = part.text
        elif part.tag == _NODE_DOMAIN:
            node.domain = part.text
        elif part.tag == _NODE_ATTRIBUTE:
            subgraphs += _read_attribute(part.data, node)
    return node, subgraphs


def _read_attribute(message: memoryview, node: Node) -> list[memoryview]:
    name, subgraphs = "", []
    texts: list[str] = []
    integers: list[int] = []
    for value in read_fields(message):
        if value.tag == _ATTRIBUTE_NAME:
            name = value.text
        elif value.tag in {_ATTRIBUTE_TENSOR, _ATTRIBUTE_TENSORS}:
            node.tensors.append(_read_tensor(value.data))
        elif value.tag in {_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS}:
            subgraphs.append(value.data)
        elif value.tag == _ATTRIBUTE_STRINGS and len(texts) < _TEXTS_MAX:
            texts.append(value.text)
        elif value.tag == _ATTRIBUTE_INTS and name in _CATEGORIES and len(integers) < _TEXTS_MAX:
            integers += _read_integers(value)
    if name not in _ANSWERS:
        node.texts += texts[: _TEXTS_MAX - len(node.texts)]
    if name in _CATEGORIES:
        node.categories = (*texts, *integers[:_TEXTS_MAX])
    return subgraphs


def _read_integers(part: Field) -> list[int]:
    """Whole numbers of one field: a packed list, or a number in the field itself."""
    return read_numbers(part.data, _TEXTS_MAX) if part.data else [to_signed(part.number)]


def _read_tensor(message: memoryview) -> Tensor:
    tensor, element = Tensor(), 0
    for part in read_fields(message):
        if part.tag == _TENSOR_NAME:
            tensor.name = part.text
        elif part.tag == _TENSOR_STRING and len(tensor.texts) < _TEXTS_MAX:
            tensor.texts.append(part.text)
        elif part.tag == _TENSOR_TYPE:
            element = part.number
        elif part.tag == _TENSOR_INT64 and len(tensor.integers) < _TEXTS_MAX:
            tensor.integers += _read_integers(part)
        elif part.tag in {_TENSOR_RAW, _TENSOR_INT32}:
            # A packed list is bytes; a single unpacked number stands in the field itself.
            tensor.numbers = part.data or memoryview(bytes([part.number & 0xFF]))
        elif part.tag == _TENSOR_EXTERNAL:
            entry = {item.tag: item.text for item in read_fields(part.data)}
            if entry.get(_ENTRY_KEY) == "location":
                tensor.location = entry.get(_ENTRY_VALUE, "")
    if element == _INT64 and tensor.numbers:
        whole = len(tensor.numbers) // 8 * 8
        tensor.integers = [
            number for (number,) in iter_unpack("<q", tensor.numbers[: min(whole, 8 * _TEXTS_MAX)])
        ]
    return tensor
