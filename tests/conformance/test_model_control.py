"""Models of a folder are loaded and unloaded by each client, at a gateway whose worker is under control."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

import ringserve
from tests.conformance.stock import KINDS, Client, Kind, connected
from tests.integration.servers import Servers, free_port
from tests.support.models import mlp

ROW = np.linspace(-1, 1, 8, dtype=np.float32)[None]
Doors = tuple[str, str]


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    """Where a gateway listens for HTTP and gRPC; one more model came into the folder after the start."""
    home = tmp_path_factory.mktemp("control")
    folder = home / "models"
    for name in ("first", "second"):
        (folder / name).mkdir(parents=True)
    mlp(folder / "first" / "model.onnx", (8, 4, 2), seed=1)
    port = free_port()
    with Servers(home) as servers:
        gateway = servers.gateway(
            [servers.worker(folder, "--model-control", "explicit")], "--grpc-port", str(port)
        )
        mlp(folder / "second" / "model.onnx", (8, 4, 2), seed=2)
        yield gateway.address, f"127.0.0.1:{port}"


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def client(doors: Doors, request: pytest.FixtureRequest) -> Iterator[Client]:
    kind: Kind = request.param
    with connected(kind, doors[kind.is_grpc]) as client:
        yield client


def states(client: Client) -> dict[str, str]:
    page = client.page("get_model_repository_index")
    rows = page.get("models", []) if client.kind.is_grpc else page
    return {row["name"]: row["state"] for row in rows}


def test_a_model_is_loaded_serves_and_is_unloaded(client: Client) -> None:
    name = client.page("get_model_metadata", "first")["inputs"][0]["name"]
    rows = client.kind.messages.InferInput(name, [1, 8], "FP32")
    rows.set_data_from_numpy(ROW)
    client.call("load_model", "second")
    assert client.call("is_model_ready", "second") is True
    assert states(client) == {"first": "READY", "second": "READY"}
    output = client.page("get_model_metadata", "second")["outputs"][0]["name"]
    answers = [client.call("infer", model, [rows]).as_numpy(output) for model in ("first", "second")]
    assert not np.array_equal(*answers)
    client.call("unload_model", "second")
    assert states(client)["first"] == "READY"
    assert states(client).get("second") != "READY"
    with pytest.raises(InferenceServerException) as caught:
        client.call("infer", "second", [rows])
    assert "second" in caught.value.message()
    assert client.call("infer", "first", [rows]).as_numpy(output) is not None


def test_a_model_that_is_not_in_the_folder_is_not_loaded(client: Client) -> None:
    with pytest.raises(InferenceServerException) as caught:
        client.call("load_model", "third")
    assert "third" in caught.value.message()


def test_our_client_controls_models_too(doors: Doors) -> None:
    with ringserve.Client(f"http://{doors[0]}") as client:
        assert {one.name for one in client.models() if one.state == "READY"} == {"first"}
        client.load("second")
        assert client.ready("second")
        inputs = {client.metadata("second").inputs[0].name: ROW}
        assert client.infer("second", inputs, version="1").model == "second"
        client.unload("second")
        with pytest.raises(ringserve.RequestRefused, match="second"):
            client.infer("second", inputs)
