"""What a column may hold is found through what picks, joins and casts columns, and makes a probe accepted."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from ringserve.engine.categories import Categories, find_categories
from ringserve.engine.onnx_graph import read_scopes
from ringserve.engine.session import Engine
from tests.support.tensors import arrays_of, request

TOWNS, SIZES = ["Aachen", "Bonn"], ["large", "small", "tiny"]
Values = tuple[str, int, Sequence[int | str | None]]


def onehot(source: str, target: str, categories: list[str] | list[int]) -> NodeProto:
    kind = "cats_strings" if isinstance(categories[0], str) else "cats_int64s"
    fields: dict[str, Any] = {kind: categories, "zeros": 0}  # 0: another value makes the run fail
    return helper.make_node("OneHotEncoder", [source], [target], domain="ai.onnx.ml", **fields)


def pick(op: str, source: str, index: str, target: str) -> NodeProto:
    domain = "" if op == "Gather" else "ai.onnx.ml"
    fields: dict[str, Any] = {"axis": 1} if op == "Gather" else {}
    return helper.make_node(op, [source, index], [target], domain=domain, **fields)


def save(path: Path, nodes: list[NodeProto], inputs: list[Values], width: int, *, raw: bool = True) -> Path:
    """A pipeline whose one-hot columns `a` and `b` are joined to `y`; a constant is named as its number."""
    constants = [numpy_helper.from_array(np.array([number]), str(number)) for number in range(4)]
    if not raw:
        constants = [helper.make_tensor(str(number), TensorProto.INT64, [1], [number]) for number in range(4)]
    constants.append(numpy_helper.from_array(np.array([-1, width]), "shape"))
    nodes += [
        helper.make_node("Concat", ["a", "b"], ["joined"], axis=-1),
        helper.make_node("Reshape", ["joined", "shape"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "table",
        [helper.make_tensor_value_info(name, element, shape) for name, element, shape in inputs],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, width])],
        constants,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def one_table(path: Path, *, raw: bool = True) -> Path:
    nodes = [
        pick("Gather", "x", "0", "town"),
        pick("ArrayFeatureExtractor", "x", "2", "size"),
        onehot("town", "a", TOWNS),
        onehot("size", "b", SIZES),
    ]
    return save(path, nodes, [("x", TensorProto.STRING, [None, 3])], 5, raw=raw)


def columns(path: Path) -> Path:
    nodes = [
        helper.make_node("Concat", ["town", "size"], ["both"], axis=1),
        pick("Gather", "both", "0", "first"),
        pick("Gather", "both", "1", "second"),
        onehot("first", "a", TOWNS),
        onehot("second", "b", SIZES),
    ]
    inputs: list[Values] = [(name, TensorProto.STRING, [None, 1]) for name in ("town", "size")]
    return save(path, nodes, inputs, 5)


def numbers(path: Path) -> Path:
    nodes = [
        pick("Gather", "x", "1", "year"),
        pick("Gather", "x", "3", "code"),
        helper.make_node("Cast", ["year"], ["whole_year"], to=TensorProto.INT64),
        helper.make_node("Cast", ["code"], ["whole_code"], to=TensorProto.INT64),
        onehot("whole_year", "a", [1999, 2024]),
        onehot("whole_code", "b", [-7, 500]),
    ]
    return save(path, nodes, [("x", TensorProto.FLOAT, [None, 4])], 4)


def found(path: Path) -> Categories:
    return find_categories(list(read_scopes(memoryview(path.read_bytes()))))


def load(path: Path) -> tuple[Engine, list[str]]:
    said: list[str] = []
    return Engine.load(path, provider="cpu", batching="auto", max_batch=8, threads=1, say=said.append), said


@pytest.mark.parametrize("raw", [True, False])
def test_columns_that_are_picked_out_of_one_input_are_told_apart(tmp_path: Path, raw: bool) -> None:
    table = found(one_table(tmp_path / "m.onnx", raw=raw))
    assert table == {"x": ((0, tuple(TOWNS)), (2, tuple(SIZES)))}


def test_inputs_of_one_column_are_followed_through_their_joining(tmp_path: Path) -> None:
    table = found(columns(tmp_path / "m.onnx"))
    assert table == {"town": ((None, tuple(TOWNS)),), "size": ((None, tuple(SIZES)),)}


def test_whole_numbers_are_categories_too(tmp_path: Path) -> None:
    assert found(numbers(tmp_path / "m.onnx")) == {"x": ((1, (1999, 2024)), (3, (-7, 500)))}


def test_what_comes_from_no_input_has_no_categories(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Concat", ["shape", "shape"], ["twice"], axis=0),
        pick("Gather", "x", "twice", "unknown"),
        pick("Gather", "other", "0", "nothing"),
        onehot("unknown", "a", TOWNS),
        onehot("nothing", "b", TOWNS),
    ]
    assert found(save(tmp_path / "m.onnx", nodes, [("x", TensorProto.STRING, [None, 3])], 4)) == {}


@pytest.mark.parametrize("make", [one_table, columns, numbers])
def test_a_pipeline_that_refuses_unknown_categories_shares_runs(tmp_path: Path, make: object) -> None:
    engine, said = load(make(tmp_path / "m.onnx"))  # type: ignore[operator]
    assert (engine.spec.batching, said) == (True, [])


def test_its_answers_are_right_together(tmp_path: Path) -> None:
    engine, _ = load(columns(tmp_path / "m.onnx"))
    sent = [(town, size) for town in TOWNS for size in SIZES]
    requests = [
        request(engine.spec, {"town": np.array([[town]], object), "size": np.array([[size]], object)})
        for town, size in sent
    ]
    answers = engine.run(requests[0][0], [payload for _, payload in requests])
    for (town, size), answer in zip(sent, answers, strict=True):
        expected = [*(town == own for own in TOWNS), *(size == own for own in SIZES)]
        assert arrays_of(answer)["y"].tolist() == [expected]
