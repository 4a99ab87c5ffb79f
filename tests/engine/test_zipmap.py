"""What fed a ZipMap is served under its output's name; whatever cannot be replaced is left as it was."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from ringserve.core.tensor import DType
from ringserve.engine.model_file import read_model_file
from ringserve.engine.onnx_graph import read_scopes
from ringserve.engine.session import Engine
from ringserve.engine.zipmap import find_zipmaps, replace_zipmaps
from tests.support import models, typed_models
from tests.support.tensors import arrays_of, request


def load(path: Path) -> tuple[Engine, list[str]]:
    said: list[str] = []
    engine = Engine.load(path, provider="cpu", batching="auto", max_batch=8, threads=1, say=said.append)
    return engine, said


@pytest.mark.parametrize("keys", ["classlabels_int64s", "classlabels_strings"])
def test_the_tensor_behind_the_maps_is_served_under_their_name(tmp_path: Path, keys: str) -> None:
    path = typed_models.classifier(tmp_path / "m.onnx", keys=keys)
    engine, said = load(path)
    assert (engine.spec.batching, said) == (True, [])
    served = engine.spec.outputs[1]
    assert (served.name, served.dtype, served.shape) == ("probabilities", DType.FP32, ("N", 3))
    x = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    order: list[object] = [0, 1, 2] if keys == "classlabels_int64s" else list(typed_models.COLOURS)
    label, maps = session.run(None, {"x": x})
    asked = [request(engine.spec, {"x": row[None]}) for row in x]
    results = engine.run(asked[0][0], [payload for _, payload in asked])
    for place, result in enumerate(results):
        arrays = arrays_of(result)
        assert arrays["label"] == label[place]
        np.testing.assert_allclose(
            arrays["probabilities"][0], [maps[place][key] for key in order], 1e-4, 1e-5
        )


def test_dimensions_that_onnxruntime_cannot_tell_are_open(tmp_path: Path) -> None:
    path = typed_models.tree(tmp_path / "m.onnx")
    engine, said = load(path)
    assert (engine.spec.batching, said) == (True, [])
    assert engine.spec.outputs[1].shape == (None, None)
    signature, payload = request(engine.spec, {"x": np.ones((2, 4), np.float32)})
    arrays = arrays_of(engine.run(signature, [payload])[0])
    assert arrays["label"].tolist() == ["groß", "groß"]
    assert arrays["probabilities"].tolist() == [[0.0, 1.0], [0.0, 1.0]]


def test_the_file_keeps_its_identity_and_a_model_without_maps_is_opened_as_it_is(tmp_path: Path) -> None:
    path = typed_models.classifier(tmp_path / "m.onnx")
    before = path.read_bytes()
    file = read_model_file(path)
    assert isinstance(file.served, bytes)
    onnx.checker.check_model(onnx.load_from_string(before))
    assert path.read_bytes() == before
    for build in (models.mlp, models.sequence_output, models.external_data):
        assert read_model_file(build(tmp_path / "other.onnx")).served == tmp_path / "other.onnx"


def test_all_else_of_the_model_is_copied_as_it_was(tmp_path: Path) -> None:
    data = typed_models.classifier(tmp_path / "m.onnx").read_bytes()
    zipmaps = find_zipmaps(read_scopes(memoryview(data)))
    assert zipmaps == {"probabilities": "chances"}
    copy = onnx.load_from_string(replace_zipmaps(memoryview(data), zipmaps))
    original = onnx.load_from_string(data)
    assert (copy.graph.node[3].op_type, copy.graph.node[3].output[0]) == ("Identity", "probabilities")
    copy.graph.node[3].CopyFrom(original.graph.node[3])
    copy.graph.output[1].CopyFrom(original.graph.output[1])
    assert copy == original


def test_an_identity_needs_the_standard_operators(tmp_path: Path) -> None:
    path = typed_models.tree(tmp_path / "m.onnx")
    model = onnx.load(path)
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    onnx.save(model, path)
    assert [spec.name for spec in load(path)[0].spec.outputs] == ["label", "probabilities"]


def test_maps_that_another_node_reads_are_left_out_with_a_line(tmp_path: Path) -> None:
    path = typed_models.classifier(tmp_path / "m.onnx")
    model = onnx.load(path)
    model.graph.node.append(helper.make_node("SequenceLength", ["probabilities"], ["count"]))
    model.graph.output.append(helper.make_tensor_value_info("count", onnx.TensorProto.INT64, []))
    assert find_zipmaps(read_scopes(memoryview(model.SerializeToString()))) == {}


def test_maps_of_a_model_with_weights_elsewhere_are_left_out_with_a_line(tmp_path: Path) -> None:
    path = typed_models.classifier(tmp_path / "m.onnx")
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    engine, said = load(path)
    assert [spec.name for spec in engine.spec.outputs] == ["label"]
    assert said[0].startswith("model 'm': left out are the outputs 'probabilities' of type seq(map(")
