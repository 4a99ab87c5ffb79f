"""Models of strings and of maps, asked of a gateway and of its worker as plain JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from tests.integration.servers import Server, Servers, request
from tests.support import typed_models


@pytest.fixture(params=["gateway", "worker"])
def which(request: pytest.FixtureRequest) -> int:
    return ["gateway", "worker"].index(request.param)


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    folder = tmp_path_factory.mktemp("logs")
    with Servers(folder) as servers:
        gateway, (worker,) = servers.fleet(typed_models.colours(folder / "colours.onnx"))
        yield gateway, worker


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Server, Server]]:
    folder = tmp_path_factory.mktemp("logs")
    with Servers(folder) as servers:
        path = typed_models.tree(folder / "tree.onnx")
        gateway, (worker,) = servers.fleet(path)
        yield path, gateway, worker


def test_strings_go_in_and_are_remembered(colours: tuple[Server, Server], which: int) -> None:
    door = colours[which]
    for cached in (False, True):
        answer = door.infer(["green", f"Grün {which}", "blue"])
        assert (answer.status, answer.json["output_data"]) == (200, [1, -1, 2])
        assert answer.json["cached"] is cached


def test_what_is_no_string_gets_its_sentence(colours: tuple[Server, Server], which: int) -> None:
    door = colours[which]
    answer = door.infer(["green", 5, "blue"])
    assert (answer.status, answer.error) == (400, "input_data[1] must be a string, got 5")
    answer = door.infer(["green"])
    assert (answer.status, answer.error) == (400, "input x has shape [3]: expected 3 strings, got 1")


def test_bytes_that_are_no_text_are_refused_and_hurt_nobody(
    colours: tuple[Server, Server], which: int
) -> None:
    raw = b"".join(len(text).to_bytes(4, "little") + text for text in (b"red", b"\xff\xfe", b"blue"))
    tensor = {
        "name": "x",
        "datatype": "BYTES",
        "shape": [1, 3],
        "parameters": {"binary_data_size": len(raw)},
    }
    head = json.dumps({"inputs": [tensor]}).encode()
    size = f"Inference-Header-Content-Length: {len(head)}"
    with colours[which].connect() as connection:
        answer = connection.ask(request(head + raw, size, path="/v2/models/colours/infer"))
        assert answer.status == 400
        assert "element 1 is no UTF-8" in answer.error
        good = json.dumps({"input_data": ["red", "red", "blue"]}).encode()
        assert connection.ask(request(good)).json["output_data"] == [0, 0, 2]


def test_a_label_is_a_string_and_its_chances_are_a_tensor(
    classes: tuple[Path, Server, Server], which: int
) -> None:
    path, *doors = classes
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for number in (0.0, 1.0):
        x = np.full((1, 4), number, np.float32)
        (label,), (chances,) = session.run(None, {"x": x})
        answer = doors[which].infer(x[0].tolist())
        assert (answer.status, answer.json["output_data"]) == (200, [label])
        body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": x[0].tolist()}]}
        asked = request(json.dumps(body).encode(), path="/v2/models/tree/infer")
        outputs = {own["name"]: own for own in doors[which].ask(asked).json["outputs"]}
        assert outputs["label"]["data"] == [label]
        served = outputs["probabilities"]
        assert (served["datatype"], served["shape"]) == ("FP32", [1, 2])
        assert dict(zip(["klein", "groß"], served["data"], strict=True)) == chances
