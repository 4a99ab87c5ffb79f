import os
from pathlib import Path

import pytest

from ringserve.core.repository.options import ModelOptions
from ringserve.errors import UsageError
from ringserve.worker.folder import Folder


def put(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_folder_is_looked_into_three_names_deep_and_by_links(tmp_path: Path) -> None:
    put(tmp_path / "a.onnx")
    put(tmp_path / "b" / "2" / "model.onnx")
    put(tmp_path / "b" / "2" / "deep" / "model.onnx")
    put(tmp_path / ".hidden" / "model.onnx")
    elsewhere = put(tmp_path.parent / f"{tmp_path.name}-c.onnx")
    (tmp_path / "c.onnx").symlink_to(elsewhere)
    (tmp_path / "d.onnx").symlink_to(tmp_path / "nowhere")
    found = Folder(tmp_path).look()
    assert {name: [one.version for one in model.found.versions] for name, model in found.items()} == {
        "a": [1],
        "b": [2],
        "c": [1],
    }
    assert Folder(tmp_path).file_of(found["b"].found.versions[0]) == tmp_path / "b" / "2" / "model.onnx"


def test_options_and_labels_are_read_and_read_again_when_they_change(tmp_path: Path) -> None:
    put(tmp_path / "a.onnx")
    put(tmp_path / "b" / "model.onnx")
    folder = Folder(tmp_path)
    assert folder.look()["a"].options == ModelOptions()
    put(tmp_path / "a.toml", "max-batch = 4")
    put(tmp_path / "b" / "config.toml", "labels = 'names.txt'")
    put(tmp_path / "b" / "names.txt", "cat\ndog\n")
    found = folder.look()
    assert found["a"].options == ModelOptions(settings={"max_batch": 4})
    assert found["b"].options.labels == ("cat", "dog")
    put(tmp_path / "b" / "names.txt", "cat\ndog\nfish\n")
    assert folder.look()["b"].options.labels == ("cat", "dog", "fish")
    (tmp_path / "a.toml").unlink()
    assert folder.look()["a"].options == ModelOptions()


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("config.toml", "max-batch = 0", "config.toml: max-batch: expected a whole number from 1 to 65536"),
        ("config.toml", "max-batch", "config.toml is not TOML: "),
        ("config.toml", "labels = 'x.txt'", "config.toml: labels: there is no file a/x.txt in "),
        ("labels.txt", "\udcff", "labels.txt is not UTF-8: "),
        ("labels.txt", "x" * ((1 << 19) + 1), "labels.txt has 524289 bytes; 524288 are taken at most"),
    ],
)
def test_what_is_wrong_with_options_is_the_models_problem(
    tmp_path: Path, name: str, text: str, sentence: str
) -> None:
    put(tmp_path / "a" / "model.onnx")
    put(tmp_path / "a" / "config.toml", "labels = 'labels.txt'")
    (tmp_path / "a" / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    put(tmp_path / "b.onnx")
    folder = Folder(tmp_path)
    for _ in range(2):  # what was read is remembered, its problem too
        found = folder.look()
        assert sentence in found["a"].problem
        assert found["b"].problem == ""


def test_a_file_is_a_folder_of_one_model(tmp_path: Path) -> None:
    path = put(tmp_path / "net.v2.onnx")
    put(tmp_path / "net.v2.toml", "max-batch = 0")
    folder = Folder(path)
    (name, model), *others = folder.look().items()
    assert (name, others, model.problem, folder.is_folder) == ("net.v2", [], "", False)
    assert folder.file_of(model.found.versions[0]) == path
    os.utime(path, ns=(1, 1))
    assert folder.look() != {name: model}
    path.unlink()
    assert set(folder.look()) == {name}  # whoever loads it says that it is not there


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    tmp_path.rmdir()
    with pytest.raises(UsageError, match="cannot be read: No such file or directory"):
        folder.look()
