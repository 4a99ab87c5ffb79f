"""Which values a column of an input may have, for encoders that refuse every other.

A pipeline for tables looks each column up among the categories it was trained with, and by scikit-learn's
default fails on any other. A probe of random values would never be accepted. So columns are followed from the
inputs, through what picks and joins them, to the encoders with their categories. What is found is a guess;
the probe tries it first, and what the model accepts decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ringserve.engine.onnx_graph import Node, Scope

Category = str | int
Column = tuple[str, int | None]
"""An input's name and a place in its last axis; None for all of that axis."""

Categories = Mapping[str, tuple[tuple[int | None, tuple[Category, ...]], ...]]
"""For each input: columns, and the values that each may have."""

_PICKERS = frozenset({"Gather", "ArrayFeatureExtractor"})
_PASSERS = frozenset(
    {"Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "StringNormalizer", "Imputer"}
)
_ENCODERS = frozenset({"OneHotEncoder", "LabelEncoder", "CategoryMapper"})


def find_categories(scopes: Sequence[Scope]) -> Categories:
    """Follow the columns of the main graph's inputs to the encoders that look them up."""
    found: dict[str, dict[int | None, tuple[Category, ...]]] = {}
    for scope in scopes:
        if scope.is_main:
            for (name, place), values in _encoded(scope):
                found.setdefault(name, {}).setdefault(place, values)
    return {name: tuple(columns.items()) for name, columns in found.items()}


def _encoded(graph: Scope) -> Iterator[tuple[Column, tuple[Category, ...]]]:
    """Yield each column that an encoder looks up; nodes stand in the order in which they can run."""
    columns: dict[str, list[Column]] = {name: [(name, None)] for name in graph.inputs}
    for node in graph.nodes:
        source = columns.get(node.inputs[0] if node.inputs else "", [])
        if node.op == "Concat":
            joined = [column for name in node.inputs for column in columns.get(name, [("", None)])]
            passed = joined if any(name for name, _ in joined) else []
        elif node.op in _PICKERS:
            passed = _picked(node, source, graph)
        else:
            passed = source if node.op in _PASSERS else []
            values = node.categories if node.op in _ENCODERS else ()
            yield from ((column, values) for column in source if values and column[0])
        if passed and node.outputs:
            columns[node.outputs[0]] = passed


def _picked(node: Node, source: list[Column], graph: Scope) -> list[Column]:
    if not source or len(node.inputs) < 2:  # noqa: PLR2004 - the tensor, and what is picked of it
        return []
    constant = graph.find_constant(node.inputs[1])
    if constant is None:
        return []
    if len(source) == 1 and source[0][1] is None:
        return [(source[0][0], place) for place in constant.integers]
    return [source[place] for place in constant.integers if 0 <= place < len(source)]
