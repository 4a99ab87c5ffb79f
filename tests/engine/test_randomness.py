"""A model that draws random numbers is recognised; one that does not is not suspected."""

from pathlib import Path

import pytest

from ringserve.engine.onnx_graph import Node, Scope, Tensor, read_scopes
from ringserve.engine.randomness import draws_random_numbers, unknown_domains
from tests.support import models


def is_random(path: Path) -> bool:
    return draws_random_numbers(list(read_scopes(memoryview(path.read_bytes()))))


@pytest.mark.parametrize("inside", ["graph", "if", "function"])
def test_random_operators_are_found_wherever_they_hide(tmp_path: Path, inside: str) -> None:
    assert is_random(models.random_normal(tmp_path / "m.onnx", inside))


@pytest.mark.parametrize("build", [models.mlp, models.int64_tokens, models.mixes_rows, models.external_data])
def test_ordinary_models_are_not_random(tmp_path: Path, build: models.Builder) -> None:
    assert not is_random(build(tmp_path / "m.onnx"))


@pytest.mark.parametrize(("training", "random"), [(None, False), (False, False), (True, True)])
def test_dropout_is_random_only_where_it_trains(tmp_path: Path, training: bool | None, random: bool) -> None:
    assert is_random(models.dropout(tmp_path / "m.onnx", training)) == random


@pytest.mark.parametrize(
    "op", ["RandomNormal", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli", "Sampling"]
)
def test_every_operator_that_draws_is_known(op: str) -> None:
    assert draws_random_numbers([Scope(nodes=[Node(op=op)])])


def test_a_training_flag_that_is_computed_or_unreadable_counts_as_on() -> None:
    node = Node(op="Dropout", inputs=["x", "ratio", "flag"])
    assert draws_random_numbers([Scope(nodes=[node])])
    elsewhere = Tensor(name="flag", location="weights.bin")
    assert draws_random_numbers([Scope(nodes=[node], initializers=[elsewhere])])


def test_a_flag_from_a_constant_node_is_read() -> None:
    constant = Node(op="Constant", outputs=["flag"], tensors=[Tensor(numbers=memoryview(b"\0"))])
    dropout = Node(op="Dropout", inputs=["x", "", "flag"])
    assert not draws_random_numbers([Scope(nodes=[constant, dropout])])


@pytest.mark.parametrize("domain", ["", "ai.onnx", "ai.onnx.ml", "com.microsoft", "ai.onnx.preview.training"])
def test_the_operators_of_onnx_and_of_onnxruntime_are_known(domain: str) -> None:
    assert unknown_domains([Scope(nodes=[Node(op="Gemm", domain=domain)])]) == []


def test_a_domain_is_unknown_wherever_its_operator_stands_unless_the_model_defines_it(tmp_path: Path) -> None:
    outer = Scope(nodes=[Node(op="A", domain="x"), Node(op="B", domain="y")])
    inner = Scope(outer, nodes=[Node(op="C", domain="x"), Node(op="D", domain="z")])
    function = Scope(domain="y", op="B", nodes=[Node(op="Add")])
    assert unknown_domains([outer, inner, function]) == ["x", "z"]
    path = models.random_normal(tmp_path / "m.onnx", "function")
    assert unknown_domains(list(read_scopes(memoryview(path.read_bytes())))) == []
