"""A session's inputs and outputs are described, refused or left out with a line."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ringserve.core.tensor import DType, TensorSpec
from ringserve.engine.arrays import Array
from ringserve.engine.runtime import CPU, Runtime, Session
from ringserve.engine.specs import read_inputs, read_outputs, why_not_batched, with_ranks
from ringserve.errors import UsageError
from tests.support import models


@dataclass
class Argument:
    name: str
    type: str
    shape: Sequence[int | str | None]


@dataclass
class Described:
    """A session that only describes itself."""

    inputs: list[Argument] = field(default_factory=list)
    outputs: list[Argument] = field(default_factory=list)

    def get_inputs(self) -> list[Argument]:
        return self.inputs

    def get_outputs(self) -> list[Argument]:
        return self.outputs

    def get_providers(self) -> list[str]:
        return []

    def run(self, output_names: Sequence[str], input_feed: dict[str, Array]) -> list[Array]:
        raise AssertionError(f"run for {output_names} of {list(input_feed)}")


def opened(path: Path) -> Session:
    return Runtime().open(path, [CPU], 1)


def test_inputs_and_outputs_are_described(tmp_path: Path) -> None:
    session = opened(models.mlp(tmp_path / "m.onnx"))
    assert read_inputs(session, "m") == (TensorSpec("x", DType.FP32, ("batch", 64)),)
    assert read_outputs(session, "m", print) == (TensorSpec("y", DType.FP32, ("batch", 10)),)


@pytest.mark.parametrize("dim", [-1, "", None, "?", "-1", "None"])
def test_what_exporters_write_for_an_open_dimension_is_open(dim: int | str | None) -> None:
    session = Described([Argument("x", "tensor(float)", [dim, 3])])
    assert read_inputs(session, "m")[0].shape == (None, 3)


@pytest.mark.parametrize("kind", ["sparse_tensor(float)", "optional(tensor(float))", "seq(tensor(float))"])
def test_an_input_that_cannot_be_served_is_named(kind: str) -> None:
    with pytest.raises(UsageError, match="model 'm' cannot be served: its input 'x' is of type"):
        read_inputs(Described([Argument("x", kind, ["N"])]), "m")


def test_a_model_without_inputs_is_refused() -> None:
    with pytest.raises(UsageError, match="it has no inputs"):
        read_inputs(Described(), "m")


def test_an_output_that_is_no_tensor_is_left_out_with_one_line(tmp_path: Path) -> None:
    said: list[str] = []
    outputs = read_outputs(opened(models.sequence_output(tmp_path / "m.onnx")), "m", said.append)
    assert [spec.name for spec in outputs] == ["y"]
    assert len(said) == 1
    assert said[0].startswith("model 'm': left out are the outputs 'parts' of type seq(tensor(float)); ")
    assert "zipmap=False" in said[0]


def test_a_model_with_nothing_to_serve_is_refused() -> None:
    session = Described(outputs=[Argument("z", "seq(map(int64,tensor(float)))", [])])
    with pytest.raises(UsageError, match=r"cannot be served: its outputs are 'z' of type seq"):
        read_outputs(session, "m", print)


@pytest.mark.parametrize(
    ("shapes", "reason"),
    [
        ([("N", 4)], ""),
        ([(None, 4), ("N",)], ""),
        ([(1, 4)], "its input 'x0' has a fixed batch of 1"),
        ([("N", 4), (1, 4)], "its input 'x1' has a fixed batch of 1"),
        ([(3, 4)], "its input 'x0' has no batch axis"),
        ([("N", 4), ()], "its input 'x1' has no batch axis"),
        ([("N", "N")], "the batch dimension 'N' is a dimension of one item as well"),
    ],
)
def test_shapes_alone_may_rule_batching_out(shapes: list[tuple[int | str | None, ...]], reason: str) -> None:
    specs = [TensorSpec(f"x{number}", DType.FP32, shape) for number, shape in enumerate(shapes)]
    assert why_not_batched(specs) == reason


def test_an_output_of_unknown_rank_has_as_many_open_dimensions_as_it_had_in_a_run() -> None:
    described = [TensorSpec("a", DType.FP32, ()), TensorSpec("b", DType.FP32, ("N", 3))]
    opened = (TensorSpec("a", DType.FP32, (None, None)), described[1])
    assert with_ranks(described, [2, 2]) == opened
    assert with_ranks(described, [0, 2]) == with_ranks(described, []) == tuple(described)
