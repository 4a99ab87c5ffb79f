"""Does a model draw random numbers? Then no answer may be kept or shared."""

from __future__ import annotations

from collections.abc import Iterable

from ringserve.engine.onnx_graph import Node, Scope

_STARTS = "Random"
"""RandomNormal, RandomNormalLike, RandomUniform, RandomUniformLike, and custom ones called so.

A `seed` attribute does not help: it seeds the stream once, and each run draws on.
"""
_OPERATORS = frozenset({"Multinomial", "Bernoulli", "Sampling"})
_DROPOUTS = frozenset({"Dropout", "BiasDropout", "BitmaskDropout", "BitmaskBiasDropout"})
_TRAINING_MODE = {"Dropout": 2, "BitmaskDropout": 2, "BiasDropout": 4, "BitmaskBiasDropout": 4}
"""Which input of each kind of dropout says whether it trains."""
_KNOWN_DOMAINS = frozenset(
    {
        "",
        "ai.onnx",
        "ai.onnx.ml",
        "ai.onnx.preview",
        "ai.onnx.preview.training",
        "ai.onnx.training",
        "com.microsoft",
        "com.microsoft.nchwc",
        "com.ms.internal.nhwc",
    }
)
"""Whose operators are known here: the standard's, and onnxruntime's own."""


def unknown_domains(scopes: Iterable[Scope]) -> list[str]:
    """List the domains of operators that may draw for all that is known; functions in the model are known."""
    scopes = list(scopes)
    functions = {(scope.domain, scope.op) for scope in scopes if scope.op}
    nodes = [node for scope in scopes for node in scope.nodes if (node.domain, node.op) not in functions]
    return list(dict.fromkeys(node.domain for node in nodes if node.domain not in _KNOWN_DOMAINS))


def draws_random_numbers(scopes: Iterable[Scope]) -> bool:
    """Tell whether any node of the model, however deep, gives a different answer each run."""
    return any(_is_random(node, scope) for scope in scopes for node in scope.nodes)


def _is_random(node: Node, scope: Scope) -> bool:
    if node.op in _DROPOUTS:
        return _trains(node, scope)
    return node.op.startswith(_STARTS) or node.op in _OPERATORS


def _trains(node: Node, scope: Scope) -> bool:
    """Whether a dropout is not known to be off: its flag is there and is no constant false."""
    flag = node.inputs[_TRAINING_MODE[node.op] :][:1]
    if flag in ([], [""]):
        return False
    constant = scope.find_constant(flag[0])
    return constant is None or constant.location != "" or any(constant.numbers)
