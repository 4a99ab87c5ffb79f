"""The engine loads any model file, says what it must, and answers as onnxruntime does."""

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from ringserve.core.signature import Signature, TensorLayout
from ringserve.core.tensor import DType
from ringserve.engine.arrays import Array
from ringserve.engine.runtime import CPU, CUDA, Runtime, Session
from ringserve.engine.session import Engine, Wish
from ringserve.errors import ModelFailed, UsageError
from tests.support import models


def load(
    path: Path, *, batching: str = "auto", max_batch: int = 32, wish: Wish | None = None
) -> tuple[Engine, list[str]]:
    said: list[str] = []
    engine = Engine.load(
        path, provider="auto", batching=batching, max_batch=max_batch, threads=1, say=said.append, wish=wish
    )
    return engine, [line for line in said if "CUDA" not in line and "CPU" not in line]


def test_a_model_that_batches_is_loaded_warm_and_silent(tmp_path: Path) -> None:
    engine, said = load(models.mlp(tmp_path / "net.onnx"))
    assert said == []
    spec = engine.spec
    assert (spec.name, spec.version, spec.batching, spec.max_batch, spec.cacheable) == (
        "net",
        "1",
        True,
        32,
        True,
    )
    assert (engine.slots, engine.provider, spec.platform) == (1, spec.platform, engine.provider)
    assert 0 < engine.single_run_s <= engine.slowest_run_s
    assert 0 < engine.full_batch_s <= engine.slowest_run_s


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (models.mixes_rows, "its output 'y' for one row depends on the other rows of a batch of 2"),
        (
            models.depends_on_batch_size,
            "its output 'y' for one row depends on the other rows of a batch of 2",
        ),
        (models.quantised, "its output 'y' for one row depends on the other rows of a batch of 2"),
        (models.time_in_front, "its output 'y' for one row depends on the other rows of a batch of 2"),
        (models.no_batch_axis, "its input 'x' has no batch axis"),
        (models.scalar_input, "its input 'x' has no batch axis"),
        (models.random_normal, "it draws random numbers"),
    ],
)
def test_a_model_that_cannot_batch_runs_item_by_item_and_says_so_in_one_line(
    tmp_path: Path, build: models.Builder, reason: str
) -> None:
    engine, said = load(build(tmp_path / "net.onnx"))
    (line,) = said
    assert line.startswith(f"model 'net' runs item by item: {reason}")
    assert (engine.spec.batching, engine.spec.max_batch, engine.slots) == (False, 1, 2)
    assert 0 < engine.single_run_s == engine.full_batch_s <= engine.slowest_run_s


@pytest.mark.parametrize("cache", [None, True])
def test_a_model_that_draws_random_numbers_is_not_cacheable(tmp_path: Path, cache: bool | None) -> None:
    engine, _ = load(models.random_normal(tmp_path / "m.onnx", "if"), wish=Wish(cache=cache))
    assert not engine.spec.cacheable


def test_a_model_that_is_seen_to_answer_differently_is_not_cacheable(tmp_path: Path) -> None:
    """Nobody can look into such a file; its owner says that it draws nothing, and errs."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "net.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(models.random_normal(tmp_path / "m.onnx"), options)
    engine, said = load(tmp_path / "net.ort", wish=Wish(cache=True))
    assert not engine.spec.cacheable
    assert (
        said[0] == "model 'net': its answers are neither remembered nor shared, as one input got two of them"
    )
    assert load(tmp_path / "net.ort", wish=Wish(cache=False))[1] == said[1:]


def test_a_repository_names_the_model_its_version_and_whether_answers_are_remembered(tmp_path: Path) -> None:
    engine, _ = load(models.mlp(tmp_path / "model.onnx"), wish=Wish(name="shop", version="3", cache=False))
    assert (engine.spec.name, engine.spec.version, engine.spec.cacheable) == ("shop", "3", False)


def test_batching_on_skips_the_proof_and_warns(tmp_path: Path) -> None:
    engine, said = load(models.mixes_rows(tmp_path / "net.onnx"), batching="on")
    assert engine.spec.batching
    assert said == [
        "--batching on: nothing has proved that the rows of model 'net' do not change each other's answers"
    ]


@pytest.mark.parametrize("batching", ["auto", "on"])
def test_a_fixed_batch_that_is_not_to_be_freed_runs_item_by_item(tmp_path: Path, batching: str) -> None:
    path = models.fixed_batch_one(tmp_path / "net.onnx")
    engine, said = load(path, batching=batching, wish=Wish(free_batch=False))
    assert (engine.spec.batching, engine.rows_max, engine.slots) == (False, 1, 2)
    assert engine.spec.inputs[0].shape == (1, 4)
    assert said == ["model 'net' runs item by item: its input 'x' has a fixed batch of 1"]


def test_batching_on_where_a_full_batch_fails_is_told_at_the_start(tmp_path: Path) -> None:
    engine, said = load(models.one_row_inside(tmp_path / "net.onnx"), batching="on")
    assert said[1].startswith("model 'net' failed at warm-up: Reshape: ")
    assert engine.full_batch_s > 0


@pytest.mark.parametrize(("batching", "max_batch"), [("off", 32), ("auto", 1), ("on", 1)])
def test_batching_that_is_off_needs_no_word(tmp_path: Path, batching: str, max_batch: int) -> None:
    engine, said = load(models.mlp(tmp_path / "m.onnx"), batching=batching, max_batch=max_batch)
    assert (engine.spec.batching, engine.spec.max_batch, said) == (False, 1, [])


def test_a_model_that_accepts_no_probe_starts_cold_and_says_so(tmp_path: Path) -> None:
    path = models.failing_on_value(tmp_path / "net.onnx")
    model = onnx.load(path)
    limit = next(tensor for tensor in model.graph.initializer if tensor.name == "limit")
    limit.CopyFrom(onnx.numpy_helper.from_array(np.array(-np.inf, np.float32), "limit"))
    onnx.save(model, path)
    engine, said = load(path)
    why = "no input was found that it accepts, so it is not warmed up either"
    assert said == [f"model 'net' runs item by item: {why}"]
    assert load(path, batching="off")[1] == [f"model 'net' starts cold: {why}"]
    assert (engine.single_run_s, engine.full_batch_s, engine.slowest_run_s) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("change", ["operator", "opset", "ir"])
def test_a_model_that_onnxruntime_refuses_is_told_in_one_line(tmp_path: Path, change: str) -> None:
    path = models.mlp(tmp_path / "net.onnx")
    model = onnx.load(path)
    if change == "operator":
        model.graph.node[0].op_type = "NoSuchOperator"
    elif change == "opset":
        model.opset_import[0].version = 999
    else:
        model.ir_version = 999
    onnx.save(model, path)
    sentence = r"net\.onnx cannot be loaded: .*; install a newer onnxruntime"
    with pytest.raises(UsageError, match=sentence) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    assert "onnxruntime_src" not in str(caught.value)


def test_weights_in_another_file_are_loaded(tmp_path: Path) -> None:
    engine, _ = load(models.external_data(tmp_path / "m.onnx"))
    assert engine.spec.batching


def test_a_model_in_onnxruntimes_own_format_is_served_and_nothing_of_it_remembered(tmp_path: Path) -> None:
    source, path = models.mlp(tmp_path / "source.onnx"), tmp_path / "net.ort"
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(path)
    options.add_session_config_entry("session.save_model_format", "ORT")
    session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    engine, said = load(path)
    assert (engine.spec.name, engine.spec.batching, engine.spec.cacheable) == ("net", True, False)
    (line,) = said
    assert line.startswith(
        "model 'net': its answers are neither remembered nor shared, as its graph is in onnx"
    )
    told, said = load(path, wish=Wish(cache=True))
    assert (told.spec.cacheable, said) == (True, [])
    x = np.random.default_rng(0).standard_normal((1, 64)).astype(np.float32)
    signature = Signature("net", "", (TensorLayout("x", DType.FP32, (1, 64)),))
    got = np.frombuffer(engine.run(signature, [x.tobytes()])[0].payload, np.float32)
    assert np.allclose(got, session.run(None, {"x": x})[0][0], 1e-4, 1e-5)


def test_a_slow_model_starts_in_a_few_runs(tmp_path: Path) -> None:
    engine, said = load(models.slow(tmp_path / "m.onnx", 0.4))
    assert said == []
    assert engine.spec.batching
    assert 0.2 < engine.single_run_s <= engine.slowest_run_s


def test_a_batch_answers_each_request_with_its_own_rows(tmp_path: Path) -> None:
    engine, _ = load(models.failing_on_value(tmp_path / "m.onnx"))
    signature = Signature("m", "", (TensorLayout("x", DType.FP32, (1, 4)),))
    inputs = [np.full((1, 4), number, np.float32) for number in range(5)]
    results = engine.run(signature, [array.tobytes() for array in inputs])
    assert [result.payload for result in results] == [(2 * array).tobytes() for array in inputs]
    with pytest.raises(ModelFailed):
        engine.run(signature, [np.full((1, 4), models.FAILING_VALUE, np.float32).tobytes()])


def test_requests_of_ever_new_shapes_are_not_remembered_for_ever(tmp_path: Path) -> None:
    engine, _ = load(models.int64_tokens(tmp_path / "m.onnx"))
    for length in range(1, 600):
        signature = Signature("m", "", (TensorLayout("ids", DType.INT64, (1, length)),))
        (result,) = engine.run(signature, [bytes(8 * length)])
        assert result.layout.outputs[0].shape == (1, 8)
    assert len(engine._plans) <= 256


def test_several_threads_may_run_at_once(tmp_path: Path) -> None:
    engine, _ = load(models.no_batch_axis(tmp_path / "m.onnx"))
    signature = Signature("m", "", (TensorLayout("x", DType.FP32, (3, 4)),))
    payload = np.ones((3, 4), np.float32).tobytes()
    expected = engine.run(signature, [payload])[0].payload
    answers: list[bytes] = []

    def work() -> None:
        answers.extend(engine.run(signature, [payload])[0].payload for _ in range(200))

    threads = [threading.Thread(target=work) for _ in range(engine.slots)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [expected] * 400


class _FailsToRun:
    """A session that opened on CUDA and fails at every run, as on a device too old for the build."""

    def __init__(self, session: Session) -> None:
        self.get_inputs = session.get_inputs
        self.get_outputs = session.get_outputs

    def get_providers(self) -> Sequence[str]:
        return [CUDA, CPU]

    def run(self, output_names: Sequence[str], input_feed: dict[str, Array]) -> list[Array]:
        raise RuntimeError("CUDA failure 209: no kernel image is available for execution on the device")


class _OldDevice(Runtime):
    """A machine whose CUDA loads and cannot run."""

    def available(self) -> Sequence[str]:
        return [CUDA, CPU]

    def has_nvidia_device(self) -> bool:
        return True

    def open(self, model: Path | bytes, providers: Sequence[str], threads: int) -> Session:
        session = super().open(model, [CPU], threads)
        return _FailsToRun(session) if CUDA in providers else session


def test_cuda_that_loads_and_cannot_run_falls_back_in_two_lines(tmp_path: Path) -> None:
    said: list[str] = []
    path = models.mlp(tmp_path / "net.onnx")
    engine = Engine.load(
        path,
        provider="auto",
        batching="auto",
        max_batch=8,
        threads=1,
        say=said.append,
        runtime=_OldDevice(),
    )
    assert said[0].startswith("CUDA failed to load: ")
    assert "no kernel image is available" in said[0]
    assert said[1:] == ["Falling back to CPU Provider..."]
    assert (engine.provider, engine.spec.batching, engine.spec.platform) == ("cpu", True, "cpu")


def test_a_model_that_fails_everywhere_is_not_blamed_on_cuda(tmp_path: Path) -> None:
    said: list[str] = []
    path = models.failing_on_value(tmp_path / "net.onnx")
    model = onnx.load(path)
    limit = next(tensor for tensor in model.graph.initializer if tensor.name == "limit")
    limit.CopyFrom(onnx.numpy_helper.from_array(np.array(-np.inf, np.float32), "limit"))
    onnx.save(model, path)
    machine = _OldDevice()
    engine = Engine.load(
        path, provider="cuda", batching="off", max_batch=1, threads=1, say=said.append, runtime=machine
    )
    assert engine.provider == "cuda"
    assert said == [
        "model 'net' starts cold: no input was found that it accepts, so it is not warmed up either"
    ]
