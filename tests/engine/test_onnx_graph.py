"""Nodes and constants are found wherever they stand; any bytes are a model or refused."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringserve.engine.onnx_graph import read_scopes
from tests.support import models


def operators(path: Path) -> set[str]:
    return {node.op for scope in read_scopes(memoryview(path.read_bytes())) for node in scope.nodes}


def test_nodes_of_the_main_graph_are_found(tmp_path: Path) -> None:
    assert operators(models.mlp(tmp_path / "m.onnx")) == {"Gemm", "Relu"}


@pytest.mark.parametrize(("inside", "holder"), [("if", "If"), ("function", "Noise")])
def test_nodes_of_subgraphs_and_functions_are_found(tmp_path: Path, inside: str, holder: str) -> None:
    path = models.random_normal(tmp_path / "m.onnx", inside)
    assert operators(path) == {holder, "Add", "RandomNormalLike"}


def test_a_subgraph_sees_the_constants_around_it(tmp_path: Path) -> None:
    data = models.random_normal(tmp_path / "m.onnx", "if").read_bytes()
    inner = [scope for scope in read_scopes(memoryview(data)) if scope.outer is not None]
    assert len(inner) == 2
    constant = inner[0].find_constant("yes")
    assert constant is not None
    assert bytes(constant.numbers) == b"\x01"
    assert inner[0].find_constant("no such") is None


def test_weights_in_another_file_are_located(tmp_path: Path) -> None:
    data = models.external_data(tmp_path / "m.onnx").read_bytes()
    (scope,) = read_scopes(memoryview(data))
    assert {tensor.location for tensor in scope.initializers} == {"weights.bin"}


def test_a_message_without_a_graph_is_refused() -> None:
    with pytest.raises(ValueError, match="no graph"):
        list(read_scopes(memoryview(b"\x08\x01")))


@given(st.data())
def test_a_damaged_model_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.onnx"
    if not path.exists():
        models.random_normal(path, "if")
    whole = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(whole)))
    with contextlib.suppress(ValueError):
        list(read_scopes(memoryview(bytes(whole[:end]))))
