"""A few real models in every run of the tests; `make models` has more of them."""

from pathlib import Path

import numpy as np
import pytest

from ringserve.core.signature import Result
from ringserve.engine.session import Engine
from tests.integration.servers import Servers
from tests.real_models.callers import Caller
from tests.real_models.catalogue import RealModel, light
from tests.real_models.check import Checker, check
from tests.real_models.pipelines import converted
from tests.support.tensors import arrays_of, request


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RealModel]:
    found = [*light(), *converted(tmp_path_factory.mktemp("pipelines"))]
    return {model.name: model for model in found}


def answering(result: Result) -> Caller:
    """Give this answer."""
    return lambda _feed: arrays_of(result)


@pytest.mark.parametrize("name", ["light_shufflenet", "skl columns"])
def test_a_served_model_answers_as_onnxruntime_does(
    models: dict[str, RealModel], tmp_path: Path, name: str
) -> None:
    with Servers(tmp_path) as servers:
        assert check(models[name], servers, "--workers", "1", alone=1, together=6).wrong == []


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
