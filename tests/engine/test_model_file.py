"""A model's file is identified by its bytes; what cannot be one is refused in one sentence."""

import os
from pathlib import Path

import pytest
from blake3 import blake3

from ringserve.engine.model_file import check_unchanged, read_model_file
from ringserve.errors import UsageError
from tests.support import models


def test_the_file_is_named_after_its_stem_and_identified_by_its_bytes(tmp_path: Path) -> None:
    path = models.mlp(tmp_path / "net.v2.onnx")
    file = read_model_file(path)
    assert (file.name, file.random) == ("net.v2", False)
    assert file.digest == blake3(path.read_bytes()).hexdigest()


def test_weights_in_another_file_are_part_of_the_identity(tmp_path: Path) -> None:
    path = models.external_data(tmp_path / "m.onnx")
    before = read_model_file(path).digest
    weights = tmp_path / "weights.bin"
    data = bytearray(weights.read_bytes())
    data[0] ^= 1
    weights.write_bytes(data)
    assert read_model_file(path).digest != before


def test_missing_weights_are_named(tmp_path: Path) -> None:
    path = models.external_data(tmp_path / "m.onnx")
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(UsageError, match=r"m\.onnx needs the weights file weights\.bin; put it beside"):
        read_model_file(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no model file .*none\.onnx; give the path"):
        read_model_file(tmp_path / "none.onnx")


def test_a_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder; give the path"):
        read_model_file(tmp_path)


def test_a_pipe_is_no_model(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(UsageError, match="no regular file"):
        read_model_file(tmp_path / "pipe.onnx")


def test_an_empty_file_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").touch()
    with pytest.raises(UsageError, match="is empty; copy or export"):
        read_model_file(tmp_path / "m.onnx")


@pytest.mark.parametrize("data", [b"hello, this is no model", b"\x89PNG\r\n\x1a\n", b"\0" * 100])
def test_a_file_of_another_kind_is_no_model(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(data)
    with pytest.raises(
        UsageError, match=r"m\.onnx is no ONNX model, or a damaged one .*copy or export it again"
    ):
        read_model_file(tmp_path / "m.onnx")


def test_half_a_model_is_no_model(tmp_path: Path) -> None:
    path = models.mlp(tmp_path / "m.onnx")
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(UsageError, match="damaged"):
        read_model_file(path)


def test_a_file_that_may_not_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = models.mlp(tmp_path / "m.onnx")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    # Tests may run as root, whom no mode refuses.
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UsageError, match="cannot be read: Permission denied"):
        read_model_file(path)


def test_a_file_that_changes_while_it_is_loaded_is_refused(tmp_path: Path) -> None:
    path = models.mlp(tmp_path / "m.onnx")
    file = read_model_file(path)
    check_unchanged(file)
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(UsageError, match="changed while it was being loaded"):
        check_unchanged(file)
