"""Libraries of custom operators are named or found; what is missing is told in one sentence."""

from pathlib import Path

import onnx
import pytest

from ringserve.engine.custom_ops import libraries_for
from ringserve.engine.model_file import read_model_file
from ringserve.engine.runtime import CPU, Runtime
from ringserve.engine.session import Engine, Wish
from ringserve.errors import UsageError
from tests.support import models
from tests.support.shared_object import write_shared_object


class Installed(Runtime):
    """A machine with or without the extensions."""

    def __init__(self, library: str) -> None:
        self.library = library

    def extensions_library(self) -> str:
        return self.library


def of_domain(path: Path, domain: str) -> Path:
    """A model whose operator is of a domain that onnxruntime has not."""
    model = onnx.load(models.strings(path))
    model.graph.node[0].domain = domain
    model.opset_import.append(onnx.helper.make_opsetid(domain, 1))
    onnx.save(model, path)
    return path


def test_an_ordinary_model_needs_no_library(tmp_path: Path) -> None:
    file = read_model_file(models.mlp(tmp_path / "m.onnx"))
    assert libraries_for(file, "", Installed("/somewhere/extensions.so")) == ()


def test_the_extensions_come_with_a_model_that_has_their_operators(tmp_path: Path) -> None:
    file = read_model_file(of_domain(tmp_path / "m.onnx", "ai.onnx.contrib"))
    assert libraries_for(file, "", Installed("/somewhere/extensions.so")) == ("/somewhere/extensions.so",)
    with pytest.raises(
        UsageError, match=r"m\.onnx has operators of 'ai\.onnx\.contrib': install the package"
    ):
        libraries_for(file, "", Installed(""))


def test_libraries_that_are_named_take_the_place_of_those_found(tmp_path: Path) -> None:
    file = read_model_file(of_domain(tmp_path / "m.onnx", "ai.onnx.contrib"))
    one, other = tmp_path / "one.so", tmp_path / "other.so"
    one.touch()
    other.touch()
    assert libraries_for(file, f"{one}, {other},", Installed("")) == (str(one), str(other))


def test_a_library_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = models.mlp(tmp_path / "m.onnx")
    with pytest.raises(UsageError, match=r"--custom-ops: there is no library .*none\.so; give the path"):
        Engine.load(
            path,
            provider="cpu",
            batching="auto",
            max_batch=1,
            threads=1,
            say=print,
            wish=Wish(custom_ops=str(tmp_path / "none.so")),
        )


def test_a_library_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    path = models.mlp(tmp_path / "m.onnx")
    runtime = Runtime()
    runtime.custom_ops = (str(write_shared_object(tmp_path / "broken.so", needs="libmissing.so.7")),)
    with pytest.raises(UsageError, match=r"broken\.so of custom operators cannot be used: .*libmissing"):
        runtime.open(path, [CPU], 1)


@pytest.mark.parametrize("domain", ["ai.onnx.contrib", "my.operators"])
def test_operators_of_a_domain_that_is_not_known_may_draw(tmp_path: Path, domain: str) -> None:
    file = read_model_file(of_domain(tmp_path / "m.onnx", domain))
    assert (file.random, file.domains) == (False, (domain,))
    assert file.unknown == f"operators of '{domain}' may draw random numbers"
