"""The edge to onnxruntime is quiet, and its loader tells why a library does not load."""

from pathlib import Path

import numpy as np
import pytest

from ringserve.engine.runtime import CPU, CUDA, Runtime
from tests.support import models
from tests.support.shared_object import write_shared_object


def test_a_failing_run_writes_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    session = Runtime().open(models.failing_on_value(tmp_path / "m.onnx"), [CPU], 1)
    with pytest.raises(Exception, match="out of data bounds"):
        session.run(["y"], {"x": np.full((1, 4), models.FAILING_VALUE, np.float32)})
    assert capfd.readouterr() == ("", "")


def test_a_damaged_file_writes_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "m.onnx").write_bytes(b"no model")
    with pytest.raises(Exception, match="Protobuf parsing failed"):
        Runtime().open(tmp_path / "m.onnx", [CPU], 1)
    assert capfd.readouterr() == ("", "")


@pytest.mark.filterwarnings("ignore:Specified provider 'CUDAExecutionProvider' is not in available")
def test_asking_for_cuda_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    session = Runtime().open(models.mlp(tmp_path / "m.onnx"), [CUDA, CPU], 1)
    assert CPU in session.get_providers()
    assert capfd.readouterr() == ("", "")


def test_a_library_that_loads_gives_no_reason(tmp_path: Path) -> None:
    library = write_shared_object(tmp_path / "some.so", needs="libc.so.6")
    assert Runtime().load_library(str(library)) == ""


def test_a_library_that_needs_another_names_it(tmp_path: Path) -> None:
    library = write_shared_object(tmp_path / "some.so", needs="libmissing.so.7")
    assert Runtime().load_library(str(library)).startswith("libmissing.so.7: cannot open shared object file")
