"""A gateway over workers with different models: each request reaches its own, by every protocol."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import numpy as np
import onnxruntime
import pytest

from ringserve.models.digits import digits_path
from ringserve.wire.proto.messages import InferRequest
from tests.integration.grpc_caller import Caller
from tests.integration.servers import Server, Servers, free_port, infer_body, request, until
from tests.support.models import mlp

ROWS = np.random.default_rng(5).random((40, 64), dtype=np.float32)


class Fleet(NamedTuple):
    """What the tests share."""

    gateway: Server
    workers: list[Server]
    caller: Caller
    other: Path
    servers: Servers


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Two workers with the digits, one with another model, and a gateway over both doors."""
    folder = tmp_path_factory.mktemp("models")
    other = mlp(folder / "other.onnx", (64, 16, 3))
    with Servers(folder) as servers:
        models = [digits_path(), digits_path(), other]
        workers = [
            servers.start("worker", "0", f"worker_{number}", str(model))
            for number, model in enumerate(models, start=1)
        ]
        addresses = [worker.wait_ready().address for worker in workers]
        port = free_port()
        gateway = servers.start("gateway", "--port", "0", "--grpc-port", str(port), *addresses).wait_ready()
        until(lambda: bool(gateway.get("/health").json["workers_up"] == 3), gateway.log)
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Fleet(gateway, workers, Caller(channel), other, servers)


def expected(model: Path, row: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """What onnxruntime computes."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (outcome,) = session.run(None, {session.get_inputs()[0].name: row[None]})
    rows: np.ndarray[Any, Any] = np.asarray(outcome)
    return rows.reshape(-1)


def input_of(gateway: Server, model: str) -> str:
    """The name of a model's input."""
    return str(gateway.get(f"/v2/models/{model}").json["inputs"][0]["name"])


def by_rest(gateway: Server, model: str, row: np.ndarray[Any, Any], version: str = "") -> list[float]:
    """One answer."""
    tensor = {"name": input_of(gateway, model), "datatype": "FP32", "shape": [1, 64], "data": row.tolist()}
    path = f"/v2/models/{model}{version}/infer"
    answer = gateway.ask(request(json.dumps({"inputs": [tensor]}).encode(), path=path))
    assert answer.status == 200, answer.body
    return list(answer.json["outputs"][0]["data"])


def by_grpc(gateway: Server, caller: Caller, model: str, row: np.ndarray[Any, Any]) -> list[float]:
    """The same over gRPC."""
    asked = InferRequest(model_name=model, raw_input_contents=[row.tobytes()])
    asked.inputs.add(name=input_of(gateway, model), datatype="FP32", shape=[1, 64])
    answer = caller.send("ModelInfer", asked).result()
    assert answer.model_name == model
    return list(np.frombuffer(answer.raw_output_contents[0], np.float32))


def test_each_request_reaches_a_worker_with_its_model(fleet: Fleet) -> None:
    gateway, _workers, caller, other, _servers = fleet
    for model, path in (("digits", digits_path()), ("other", other)):
        for row in ROWS[:6]:
            right = expected(path, row)
            for got in (
                by_rest(gateway, model, row),
                by_rest(gateway, model, row, "/versions/1"),
                by_grpc(gateway, caller, model, row),
            ):
                np.testing.assert_allclose(got, right, 1e-4, 1e-5)


def test_what_is_not_served_is_told_with_what_is(fleet: Fleet) -> None:
    gateway, _workers, caller, _other, _servers = fleet
    sentences = {
        "/v2/models/third": "there is no model 'third' here; 'digits' and 'other' are served",
        "/v2/models/other/versions/7": "model 'other' has no version '7' here; version '1' is served",
    }
    for path, sentence in sentences.items():
        answer = gateway.ask(request(b"{}", path=f"{path}/infer"))
        assert (answer.status, answer.error) == (404, sentence)
        assert gateway.get(f"{path}/config").error == sentence
    asked = InferRequest(model_name="third", raw_input_contents=[b"1234"])
    asked.inputs.add(name="x", datatype="FP32", shape=[1])
    with pytest.raises(grpc.RpcError) as caught:
        caller.send("ModelInfer", asked).result()
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    ambiguous = gateway.ask(request(infer_body(ROWS[0].tolist())))
    assert ambiguous.status == 400
    assert "'digits' and 'other' are served" in ambiguous.error


def test_the_pages_show_every_model(fleet: Fleet) -> None:
    gateway, workers, caller, _other, _servers = fleet
    assert gateway.get("/v2/models").json == {"models": ["digits", "other"]}
    index = gateway.ask(request(path="/v2/repository/index")).json
    rows = [("digits", "1", "READY", ""), ("other", "1", "READY", "")]
    assert [tuple(row.values()) for row in index] == rows
    assert gateway.ask(request(b'{"ready":true}', path="/v2/repository/index")).json == index
    assert gateway.ask(request(b'{"ready":1}', path="/v2/repository/index")).status == 400
    assert len(caller.call("RepositoryIndex").models) == 2
    shown = {model["name"]: model for model in gateway.get("/stats").json["models"]}
    assert {name: len(model["workers"]) for name, model in shown.items()} == {"digits": 2, "other": 1}
    assert shown["other"]["workers"] == [workers[2].address]


def test_statistics_are_summed_over_the_workers_of_each_model(fleet: Fleet) -> None:
    gateway, workers, caller, _other, _servers = fleet
    before = {row["name"]: row for row in gateway.get("/v2/models/stats").json["model_stats"]}
    for row in ROWS[10:30]:
        for _ in range(2):
            by_rest(gateway, "digits", row)
    after = {row["name"]: row for row in gateway.get("/v2/models/stats").json["model_stats"]}

    def gained(model: str, *path: str) -> int:
        values = []
        for one in (before[model], after[model]):
            value: Any = one
            for part in path:
                value = value[part]
            values.append(value)
        return int(values[1] - values[0])

    assert gained("digits", "inference_count") == 20
    assert gained("digits", "inference_stats", "cache_hit", "count") == 20
    assert gained("digits", "inference_stats", "success", "count") == 40
    assert gained("digits", "inference_stats", "compute_infer", "ns") > 0
    assert gained("other", "inference_count") == 0
    parts = [worker.get("/v2/models/digits/stats").json["model_stats"][0] for worker in workers[:2]]
    assert sum(part["inference_count"] for part in parts) == after["digits"]["inference_count"]
    assert all(part["inference_count"] > 0 for part in parts)
    (counted,) = caller.call("ModelStatistics", name="digits").model_stats
    assert counted.inference_count == after["digits"]["inference_count"]


def test_a_model_whose_only_worker_is_gone_is_not_ready_and_the_others_go_on(fleet: Fleet) -> None:
    gateway, workers, caller, other, servers = fleet
    workers[2].process.kill()
    workers[2].wait()
    until(lambda: gateway.get("/v2/models/other/ready").status == 503, gateway.log)
    assert not caller.call("ModelReady", name="other").ready
    assert gateway.get("/v2/models/digits/ready").status == 200
    assert gateway.get("/v2/models").json == {"models": ["digits"]}
    states = {row["name"]: row["state"] for row in gateway.ask(request(path="/v2/repository/index")).json}
    assert states == {"digits": "READY", "other": "UNAVAILABLE"}
    by_rest(gateway, "digits", ROWS[0])
    workers[2] = servers.start("worker", str(workers[2].port), "worker_3", str(other)).wait_ready()
    until(lambda: gateway.get("/v2/models/other/ready").status == 200, gateway.log)
    np.testing.assert_allclose(by_rest(gateway, "other", ROWS[0]), expected(other, ROWS[0]), 1e-4, 1e-5)
