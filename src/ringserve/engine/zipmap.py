"""scikit-learn's ZipMap, taken out of a model: its tensor is served in place of its maps, under its name.

`ZipMap` (https://onnx.ai/onnx/operators/onnx_aionnxml_ZipMap.html) turns a row of probabilities into a map
from class to probability, which no client of tensors can be sent. The file stays as it is: onnxruntime is
given a copy in which an `Identity` stands in the node's place, and in which the output is declared without a
type, so that onnxruntime works the tensor's out.
"""

from __future__ import annotations

from collections.abc import Iterable

from ringserve.engine.onnx_graph import Node, Scope
from ringserve.engine.protobuf import read_fields, write_bytes, write_number

_MODEL_GRAPH, _MODEL_OPSETS = 7, 8
_OPSET_DOMAIN, _OPSET_VERSION = 1, 2
_GRAPH_NODE, _GRAPH_OUTPUT = 1, 12
_NODE_INPUT, _NODE_OUTPUT, _NODE_OP = 1, 2, 4
_VALUE_NAME = 1
_IDENTITY_OPSET = 13
_STANDARD_DOMAINS = frozenset({"", "ai.onnx"})


def find_zipmaps(scopes: Iterable[Scope]) -> dict[str, str]:
    """Find the outputs of ZipMaps in the main graph that no other node reads, and the tensors behind them."""
    scopes = list(scopes)
    read = {name for scope in scopes for node in scope.nodes for name in node.inputs}
    return {
        node.outputs[0]: node.inputs[0]
        for scope in scopes
        if scope.is_main
        for node in scope.nodes
        if _is_zipmap(node) and node.outputs[0] not in read
    }


def replace_zipmaps(model: memoryview, zipmaps: dict[str, str]) -> bytes:
    """Copy a model with an Identity in place of each of these ZipMaps.

    Raises:
        ValueError: The bytes are no model.
    """
    parts: list[bytes | memoryview] = []
    has_standard_opset = False
    for part in read_fields(model):
        if part.tag == _MODEL_GRAPH:
            graph = _graph_without(part.data, zipmaps)
            parts += [write_bytes(_MODEL_GRAPH, graph)]
            continue
        if part.tag == _MODEL_OPSETS:
            domain = [field.text for field in read_fields(part.data) if field.tag == _OPSET_DOMAIN]
            has_standard_opset |= _STANDARD_DOMAINS.issuperset(domain)
        parts.append(part.raw)
    if not has_standard_opset:
        parts.append(write_bytes(_MODEL_OPSETS, write_number(_OPSET_VERSION, _IDENTITY_OPSET)))
    return b"".join(parts)


def _graph_without(graph: memoryview, zipmaps: dict[str, str]) -> bytes:
    parts: list[bytes | memoryview] = []
    for part in read_fields(graph):
        if part.tag == _GRAPH_NODE:
            outputs = [field.text for field in read_fields(part.data) if field.tag == _NODE_OUTPUT]
            if outputs and outputs[0] in zipmaps:
                parts.append(write_bytes(_GRAPH_NODE, _identity(zipmaps[outputs[0]], outputs[0])))
                continue
        elif part.tag == _GRAPH_OUTPUT:
            names = [field.text for field in read_fields(part.data) if field.tag == _VALUE_NAME]
            if names and names[0] in zipmaps:
                parts.append(write_bytes(_GRAPH_OUTPUT, write_bytes(_VALUE_NAME, names[0].encode())))
                continue
        parts.append(part.raw)
    return b"".join(parts)


def _identity(source: str, target: str) -> bytes:
    fields = ((_NODE_INPUT, source), (_NODE_OUTPUT, target), (_NODE_OP, "Identity"))
    return b"".join([write_bytes(tag, text.encode()) for tag, text in fields])


def _is_zipmap(node: Node) -> bool:
    return node.op == "ZipMap" and node.domain == "ai.onnx.ml" and len(node.inputs) == len(node.outputs) == 1
