"""A few real models in every run of the tests; `make models` has more of them."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from ringserve.core.signature import Result
from ringserve.engine.session import Engine
from tests.integration.servers import Servers
from tests.real_models.callers import Caller
from tests.real_models.catalogue import Chance, Feed, RealModel, light
from tests.real_models.check import Checker, check
from tests.real_models.pipelines import converted
from tests.support.tensors import arrays_of, request

NAMES = ('{"name": "a\\"b", "x": [1]}', " ü/387\n", "onnx::Flatten_0", '"outputs": {}')


def odd(path: Path) -> RealModel:
    """Names that look like something else, outputs of a node left out, sizes that the data decide."""
    one, other, places, sums = NAMES
    node, element = onnx.helper.make_node, onnx.TensorProto
    shape: list[int | str | None] = ["batch", 3, "h"]
    nodes = [
        node("Dropout", [one], ["same", ""]),
        node("NonZero", ["same"], [places]),
        node("LSTM", [other, "w", "r"], ["", "", "cell"], hidden_size=1),
        node("Concat", [one, one], [sums], axis=2),
    ]
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        nodes,
        "odd",
        [value(one, element.FLOAT, shape), value(other, element.FLOAT, ["t", 1, 2])],
        [
            value(places, element.INT64, [3, None]),
            value(sums, element.FLOAT, ["batch", 3, "2*(floor(h/2)) + h"]),
            value("cell", element.FLOAT, [1, 1, 1]),
        ],
        [
            onnx.numpy_helper.from_array(np.ones((1, 4, 2), np.float32), "w"),
            onnx.numpy_helper.from_array(np.ones((1, 4, 1), np.float32), "r"),
        ],
    )
    opset = onnx.helper.make_opsetid("", 17)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8), path)

    def draw(chance: Chance, number: int) -> Feed:
        rows, height = number % 3, 2 * (number % 2)
        whole = chance.integers(0, 2, (rows, 3, height)).astype(np.float32)
        return {one: whole, other: chance.random((1 + number, 1, 2), np.float32)}

    return RealModel("odd", path, draw, batches=False)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RealModel]:
    folder = tmp_path_factory.mktemp("models")
    found = [*light(), *converted(folder), odd(folder / "odd.onnx")]
    return {model.name: model for model in found}


def answering(result: Result) -> Caller:
    """Give this answer."""
    return lambda _feed: arrays_of(result)


@pytest.mark.parametrize("name", ["light_shufflenet", "skl columns", "odd"])
def test_a_served_model_answers_as_onnxruntime_does(
    models: dict[str, RealModel], tmp_path: Path, name: str
) -> None:
    with Servers(tmp_path) as servers:
        assert check(models[name], servers, "--workers", "1", alone=2, together=6).wrong == []


@pytest.mark.parametrize("name", ["forest", "words", "columns", "doubles", "clusters"])
def test_a_pipelines_requests_are_right_together(models: dict[str, RealModel], name: str) -> None:
    model = models[f"skl {name}"]
    said: list[str] = []
    engine = Engine.load(
        model.path, provider="cpu", batching="auto", max_batch=32, threads=1, say=said.append
    )
    assert (engine.spec.batching, said) == (True, [])
    checker, chance = Checker(model), np.random.default_rng(3)
    feeds = [model.draw(chance, 0) for _ in range(16)]
    signature = request(engine.spec, feeds[0])[0]
    results = engine.run(signature, [request(engine.spec, feed)[1] for feed in feeds])
    for feed, result in zip(feeds, results, strict=True):
        checker.ask("together", answering(result), feed, checker.direct(feed))
    assert checker.wrong == []
