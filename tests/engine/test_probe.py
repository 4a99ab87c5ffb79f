"""What can share a run is proved to; what cannot is found out, whatever the way in which rows meet."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from ringserve.core.tensor import DType, TensorSpec
from ringserve.engine.arrays import Array
from ringserve.engine.probe import Probe, Prober
from ringserve.engine.runs import TimedRuns
from ringserve.engine.runtime import CPU, Argument, Runtime
from ringserve.engine.specs import read_inputs, read_outputs
from tests.support import models

X = TensorSpec("x", DType.FP32, ("N", 4))
Y = TensorSpec("y", DType.FP32, ("N", 4))
Numbers = NDArray[Any]
Compute = Callable[..., object]


class Computed:
    """A model written in numpy: its input by name gives its one output `y`."""

    def __init__(self, compute: Compute, rows_seen: list[int] | None = None) -> None:
        self.compute = compute
        self.rows_seen = [] if rows_seen is None else rows_seen

    def run(self, _: Sequence[str], feed: dict[str, Array]) -> list[Array]:
        self.rows_seen.append(len(next(iter(feed.values()))))
        return [np.asarray(self.compute(**feed))]

    def get_inputs(self) -> list[Argument]:
        return []

    get_outputs = get_inputs

    def get_providers(self) -> list[str]:
        return []


def prove(inputs: Sequence[TensorSpec], compute: Compute, max_batch: int = 32) -> str | None:
    """The flaw found; None where no valid probe was."""
    prober = Prober(inputs, TimedRuns(Computed(compute), [Y]), max_batch)
    probe = prober.find(3)
    return None if probe is None else prober.find_flaw(probe)


def prove_file(path: Path, max_batch: int = 32) -> str | None:
    session = Runtime().open(path, [CPU], 1)
    outputs = read_outputs(session, "m", print)
    prober = Prober(read_inputs(session, "m"), TimedRuns(session, outputs), max_batch)
    probe = prober.find(3)
    return None if probe is None else prober.find_flaw(probe)


@pytest.mark.parametrize(
    "build",
    [
        models.mlp,
        models.failing_on_value,
        models.nan_output,
        models.int64_tokens,
        models.masked_tokens,
        models.uint8_input,
        models.two_inputs,
        models.scalar_items,
        models.two_unknown_dims,
        models.image,
        models.integer_output,
        models.two_outputs,
    ],
)
@pytest.mark.parametrize("max_batch", [2, 32])
def test_rows_that_do_not_meet_are_proved_so(tmp_path: Path, build: models.Builder, max_batch: int) -> None:
    assert prove_file(build(tmp_path / "m.onnx"), max_batch) == ""


@pytest.mark.parametrize(
    "build", [models.mixes_rows, models.depends_on_batch_size, models.quantised, models.time_in_front]
)
@pytest.mark.parametrize("max_batch", [2, 32])
def test_rows_that_meet_are_found_out(tmp_path: Path, build: models.Builder, max_batch: int) -> None:
    flaw = prove_file(build(tmp_path / "m.onnx"), max_batch)
    assert str(flaw).startswith("its output 'y' for one row depends on the other rows of a batch of 2")


def test_a_model_that_takes_one_row_only_is_found_out(tmp_path: Path) -> None:
    flaw = prove_file(models.one_row_inside(tmp_path / "m.onnx"))
    assert flaw is not None
    assert flaw.startswith("it fails on 2 rows together (Reshape: ")


@pytest.mark.parametrize("sizes", [(64, 1000), (784, 1024, 1000), (100,) * 12])
def test_rounding_in_large_layers_is_no_flaw(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    assert prove_file(models.mlp(tmp_path / "m.onnx", sizes)) == ""


@pytest.mark.parametrize("scale", [0.0, 1e-3])
def test_a_sum_in_another_order_is_no_flaw_and_hides_none(scale: float) -> None:
    generator = np.random.default_rng(0)
    first = (generator.standard_normal((784, 1024)) / 28).astype(np.float32)
    second = (generator.standard_normal((1024, 1000)) / 32).astype(np.float32)

    def compute(x: Numbers) -> object:
        # A single row adds its columns from the other end: what another kernel for one row may do.
        order = slice(None, None, -1) if len(x) == 1 else slice(None)
        hidden = np.maximum(x[:, order] @ first[order], 0)
        return (hidden[:, order] @ second[order] + scale * (len(x) > 1) * np.abs(x).max()).astype(np.float32)

    flaw = prove([TensorSpec("x", DType.FP32, ("N", 784))], compute)
    assert bool(flaw) == bool(scale)


@pytest.mark.parametrize("weight", [1e-3, 1.0])
def test_even_a_small_part_of_the_other_rows_is_found(weight: float) -> None:
    assert prove([X], lambda x: (x + weight * x.mean(axis=0)).astype(np.float32))


def test_a_flaw_that_shows_at_max_batch_alone_is_found() -> None:
    flaw = prove([X], lambda x: x + (len(x) > 16), max_batch=32)
    assert str(flaw).startswith("its output 'y' for one row depends on the other rows of a batch of 32 (by ")


def test_a_flaw_in_the_last_row_alone_is_found() -> None:
    def compute(x: Numbers) -> object:
        y = x.copy()
        y[31:] += 1
        return y

    assert prove([X], compute)


def test_a_flaw_at_one_item_size_alone_is_found() -> None:
    def compute(x: Numbers) -> object:
        return x.mean(axis=1) + (x.shape[1] != 5) * len(x)

    assert prove([TensorSpec("x", DType.FP32, ("N", "seq"))], compute)


def test_a_dimension_that_takes_one_size_only_cannot_be_proved() -> None:
    def compute(x: Numbers) -> object:
        if x.shape[1] != 3:
            raise ValueError("three channels")
        return x.mean(axis=(1, 2))

    flaw = prove([TensorSpec("x", DType.FP32, ("N", "channels", "width"))], compute)
    assert flaw == "its dimension 'channels' was accepted at one size only (3)"


def test_dimensions_that_need_different_sizes_are_tried_in_mixtures() -> None:
    def compute(x: Numbers) -> object:
        if x.shape[1] >= x.shape[2]:
            raise ValueError("wide only")
        return x.mean(axis=(1, 2))

    assert prove([TensorSpec("x", DType.FP32, ("N", None, None))], compute) == ""


def test_a_model_that_accepts_nothing_has_no_probe() -> None:
    def compute(x: Numbers) -> object:
        raise ValueError(f"not {x}")

    assert prove([X], compute) is None


def test_an_answer_that_is_never_a_number_is_no_probe() -> None:
    assert prove([X], lambda x: np.full_like(x, np.nan)) is None


def test_the_same_answer_for_all_proves_nothing() -> None:
    assert prove([X], lambda x: 0 * x) == "it gave the same answer for every input that was tried"


def test_an_output_without_rows_is_found() -> None:
    assert prove([X], lambda x: np.float32(x.sum()) + np.zeros(())) == (
        "its output 'y' has the shape [] for 1 rows"
    )


def test_an_output_whose_shape_depends_on_the_others_is_found() -> None:
    flaw = prove([X], lambda x: np.repeat(x, len(x), axis=1))
    assert flaw == "the shape of its output 'y' depends on the other rows"


def test_an_unsteady_model_is_found() -> None:
    generator = np.random.default_rng(0)
    assert prove([X], lambda x: x + generator.random(x.shape, np.float32))


@pytest.mark.parametrize(("low", "high"), [(0, 1), (1, 2), (0, 9), (0, 50), (0, 0)])
def test_whole_numbers_stay_in_the_range_that_the_model_accepts(low: int, high: int) -> None:
    def compute(ids: Numbers) -> object:
        if not ((ids >= low) & (ids <= high)).all():
            raise ValueError("out of range")
        return ids.mean(axis=1)

    flaw = prove([TensorSpec("ids", DType.INT64, ("N", "seq"))], compute)
    assert flaw == ("" if high > 0 else "it gave the same answer for every input that was tried")


def test_inputs_with_ranges_of_their_own_are_widened_apart() -> None:
    def compute(ids: Numbers, kind: Numbers) -> object:
        if ids.max() > 1000 or kind.max() > 1:
            raise ValueError("out of range")
        return (ids + kind).mean(axis=1)

    inputs = [TensorSpec(name, DType.INT64, ("N", "seq")) for name in ("ids", "kind")]
    prober = Prober(inputs, TimedRuns(Computed(compute), [Y]), 32)
    probe = prober.find(3)
    assert probe is not None
    assert probe.recipe.high == (999, 1)
    assert prober.find_flaw(probe) == ""


class SlowRuns(TimedRuns):
    """Runs that count as taking two seconds each."""

    __slots__ = ()

    def median_s(self, rows: int) -> float:
        return 2.0 if self._seconds.get(rows) else 0.0


def test_a_slow_model_is_proved_in_six_runs_and_every_row_still_counts() -> None:
    rows_seen: list[int] = []
    prober = Prober([X], SlowRuns(Computed(lambda x: x + x, rows_seen), [Y]), 32)
    probe = prober.find(3)
    assert isinstance(probe, Probe)
    assert prober.find_flaw(probe) == ""
    assert rows_seen == [1, 1, 1, 2, 3, 32]

    for bad in range(1, 32):

        def compute(x: Numbers, bad: int = bad) -> object:
            y = x.copy()
            y[bad : bad + 1] += 1
            return y

        assert Prober([X], SlowRuns(Computed(compute), [Y]), 32).find_flaw(probe)


def test_sizes_that_only_sound_has_are_tried(tmp_path: Path) -> None:
    """A window of 400 samples refuses all that images and sentences need."""
    window = np.random.default_rng(1).standard_normal((2, 1, 400)).astype(np.float32)
    nodes = [
        onnx.helper.make_node("Conv", ["x", "window"], ["c"], strides=[160]),
        onnx.helper.make_node("ReduceMean", ["c"], ["y"], axes=[2], keepdims=0),
    ]
    kind = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        nodes,
        "sound",
        [onnx.helper.make_tensor_value_info("x", kind, ["N", 1, "samples"])],
        [onnx.helper.make_tensor_value_info("y", kind, ["N", 2])],
        [onnx.numpy_helper.from_array(window, "window")],
    )
    opset = onnx.helper.make_opsetid("", 17)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8), tmp_path / "m.onnx")
    assert prove_file(tmp_path / "m.onnx", 8) == ""
