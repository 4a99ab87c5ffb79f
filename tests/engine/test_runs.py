"""Runs at load are timed, and their failures are ours."""

from pathlib import Path

import numpy as np
import pytest

from ringserve.core.tensor import DType, TensorSpec
from ringserve.engine.runs import REPEATS, TimedRuns
from ringserve.engine.runtime import CPU, Runtime
from ringserve.errors import ModelFailed
from tests.support import models


def runs_of(path: Path) -> TimedRuns:
    return TimedRuns(Runtime().open(path, [CPU], 1), [TensorSpec("y", DType.FP32, ("N",))])


def test_a_fast_model_is_measured_by_several_runs_of_that_size(tmp_path: Path) -> None:
    runs = runs_of(models.mlp(tmp_path / "m.onnx"))
    feed = {"x": np.zeros((1, 64), np.float32)}
    assert runs.median_s(1) == 0.0
    assert runs.run(feed, 1)[0].shape == (1, 10)
    assert 0 < runs.measure(feed, 1) <= runs.slowest_s
    assert len(runs._seconds[1]) == REPEATS


def test_a_slow_model_is_not_run_again_to_be_measured(tmp_path: Path) -> None:
    runs = runs_of(models.slow(tmp_path / "m.onnx", 0.4))
    feed = {"x": np.zeros((1, 4), np.float32)}
    first = runs.measure(feed, 1)
    assert runs.measure(feed, 1) == first == runs.slowest_s
    assert len(runs._seconds[1]) == 1


def test_a_failed_run_gives_the_reason_and_no_time(tmp_path: Path) -> None:
    runs = runs_of(models.failing_on_value(tmp_path / "m.onnx"))
    with pytest.raises(ModelFailed, match=r"^Gather: indices element out of data bounds"):
        runs.run({"x": np.full((1, 4), models.FAILING_VALUE, np.float32)}, 1)
    assert runs.slowest_s == 0.0
