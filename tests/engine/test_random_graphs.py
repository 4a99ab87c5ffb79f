"""Whole graphs that draw, run by onnxruntime: what two runs show is what is said of the model."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from ringserve.engine.session import Engine
from tests.support.tensors import arrays_of, request

HEAD = '<ir_version: 9, opset_import: ["": 17, "local": 1, "other": 1]>\n'
GRAPH = "g (float[N, 4] x) => (float[N, 4] y) "
FUNCTION = '<domain: "{domain}", opset_import: ["": 17, "local": 1, "other": 1]>\n'

DRAW = {
    "RandomNormalLike": "{ n = RandomNormalLike(x) y = Add(x, n) }",
    "with a seed": "{ n = RandomUniformLike <seed = 7.0> (x) y = Add(x, n) }",
    "RandomNormal": "{ n = RandomNormal <shape = [4]> () y = Add(x, n) }",
    "Bernoulli": "{ p = Sigmoid(x) y = Bernoulli <seed = 1.0> (p) }",
    "Multinomial": """{
        picked = Multinomial <sample_size = 4> (x)
        y = Cast <to = 1> (picked)
    }""",
    "Dropout that trains": """<float ratio = {0.5}, bool trains = {1}> {
        y = Dropout(x, ratio, trains)
    }""",
    "If": """<bool yes = {1}> {
        y = If (yes) <
            then_branch = a () => (float[N, 4] t) { n = RandomNormalLike(x) t = Add(x, n) },
            else_branch = b () => (float[N, 4] e) { e = Identity(x) }
        >
    }""",
    "Loop": """<int64 times = {2}, bool yes = {1}> {
        y = Loop (times, yes, x) <
            body = b (int64 i, bool go, float[N, 4] s) => (bool on, float[N, 4] t) {
                on = Identity(go)
                n = RandomNormalLike(s)
                t = Add(s, n)
            }
        >
    }""",
}
FUNCTIONS = {
    "a function": (
        "{ y = local.Noise(x) }",
        ("local", "Noise (a) => (b) { n = RandomNormalLike(a) b = Add(a, n) }"),
    ),
    "a function of a function": (
        "{ y = local.Outer(x) }",
        ("local", "Outer (a) => (b) { c = other.Inner(a) b = Add(a, c) }"),
        ("other", "Inner (a) => (b) { b = RandomNormalLike(a) }"),
    ),
    "a function that is told to train": (
        "<bool trains = {1}> { y = local.Drop(x, trains) }",
        ("local", "Drop (a, t) => (b) { r = Constant <value = float {0.5}> () b = Dropout(a, r, t) }"),
    ),
    "a branch in a function": (
        "{ y = local.Maybe(x) }",
        (
            "local",
            """Maybe (a) => (b) {
                yes = Constant <value = bool {1}> ()
                b = If (yes) <
                    then_branch = p () => (t) { n = RandomNormalLike(a) t = Add(a, n) },
                    else_branch = q () => (e) { e = Identity(a) }
                >
            }""",
        ),
    ),
}
STEADY = {
    "Dropout that does not train": """<float ratio = {0.5}, bool trains = {0}> {
        y = Dropout(x, ratio, trains)
    }""",
    "Dropout in a branch, its flag outside": """<float ratio = {0.5}, bool trains = {0}, bool yes = {1}> {
        y = If (yes) <
            then_branch = a () => (float[N, 4] t) { t = Dropout(x, ratio, trains) },
            else_branch = b () => (float[N, 4] e) { e = Identity(x) }
        >
    }""",
    "a sum in a loop": """<int64 times = {2}, bool yes = {1}> {
        y = Loop (times, yes, x) <
            body = b (int64 i, bool go, float[N, 4] s) => (bool on, float[N, 4] t) {
                on = Identity(go)
                t = Add(s, s)
            }
        >
    }""",
}
STEADY_FUNCTIONS = {
    "a function of another domain": (
        "{ y = other.Twice(x) }",
        ("other", "Twice (a) => (b) { b = Add(a, a) }"),
    ),
    "a function that never trains": (
        "{ y = local.Drop(x) }",
        (
            "local",
            """Drop (a) => (b) {
                r = Constant <value = float {0.5}> ()
                t = Constant <value = bool {0}> ()
                b = Dropout(a, r, t)
            }""",
        ),
    ),
}


def opened(path: Path, body: str, *functions: tuple[str, str]) -> Engine:
    texts = [FUNCTION.format(domain=domain) + text for domain, text in functions]
    onnx.save(onnx.parser.parse_model("\n".join([HEAD + GRAPH + body, *texts])), path)
    return Engine.load(path, provider="cpu", batching="auto", max_batch=4, threads=1, say=lambda _line: None)


def differs_from_run_to_run(engine: Engine) -> bool:
    signature, payload = request(engine.spec, {"x": np.full((64, 4), 0.25, np.float32)})
    answers = [arrays_of(engine.run(signature, [payload])[0])["y"] for _ in range(3)]
    return any(not np.array_equal(answers[0], answer) for answer in answers[1:])


@pytest.mark.parametrize("kind", DRAW)
def test_a_graph_that_draws_is_known_wherever_it_does(tmp_path: Path, kind: str) -> None:
    engine = opened(tmp_path / "m.onnx", DRAW[kind])
    assert differs_from_run_to_run(engine)
    assert (engine.spec.cacheable, engine.spec.batching) == (False, False)


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_a_function_that_draws_is_known_however_deep(tmp_path: Path, kind: str) -> None:
    engine = opened(tmp_path / "m.onnx", *FUNCTIONS[kind])  # type: ignore[arg-type]
    assert differs_from_run_to_run(engine)
    assert (engine.spec.cacheable, engine.spec.batching) == (False, False)


@pytest.mark.parametrize("kind", [*STEADY, *STEADY_FUNCTIONS])
def test_a_graph_that_draws_nothing_is_not_suspected(tmp_path: Path, kind: str) -> None:
    parts = STEADY_FUNCTIONS.get(kind) or (STEADY[kind],)
    engine = opened(tmp_path / "m.onnx", *parts)
    assert not differs_from_run_to_run(engine)
    assert (engine.spec.cacheable, engine.spec.batching) == (True, True)
