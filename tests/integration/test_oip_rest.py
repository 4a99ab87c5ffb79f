"""The Open Inference Protocol over HTTP, at a gateway's door and at a worker's."""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import numpy as np
import onnxruntime
import pytest

from ringserve.models.digits import digits_path
from tests.integration.servers import Answer, Server, Servers, request, until
from tests.support import models

JSON_SIZE = "inference-header-content-length"
ROUTE = "/v2/models/digits/infer"
ROWS = np.arange(3 * 64, dtype="<f4").reshape(3, 64) % 17


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    with Servers(tmp_path_factory.mktemp("logs")) as servers:
        gateway, (worker,) = servers.fleet(digits_path(), 1, "--max-batch", "8")
        yield {"gateway": gateway, "worker": worker}


@pytest.fixture(params=["gateway", "worker"])
def server(fleet: dict[str, Server], request: pytest.FixtureRequest) -> Server:
    return fleet[request.param]


@pytest.fixture(scope="module")
def expected() -> Any:  # noqa: ANN401 - an array
    session = onnxruntime.InferenceSession(digits_path())
    return session.run(None, {"pixels": ROWS})[0]


def pixels(rows: Any = ROWS, **more: object) -> dict[str, object]:  # noqa: ANN401 - an array
    return {"name": "pixels", "datatype": "FP32", "shape": list(rows.shape), **more}


def in_json(**fields: object) -> bytes:
    return json.dumps({"inputs": [pixels(data=ROWS.reshape(-1).tolist())], **fields}).encode()


def in_bytes(rows: Any = ROWS, **fields: object) -> tuple[bytes, str]:  # noqa: ANN401 - an array
    head = json.dumps(
        {"inputs": [pixels(rows, parameters={"binary_data_size": rows.nbytes})], **fields}
    ).encode()
    return head + rows.tobytes(), f"Inference-Header-Content-Length: {len(head)}"


def infer(server: Server, body: bytes, *headers: str, route: str = ROUTE) -> Answer:
    return server.ask(request(body, *headers, path=route))


def test_the_same_answer_comes_as_json_and_as_bytes(server: Server, expected: Any) -> None:  # noqa: ANN401
    plain = infer(server, in_json(id="one"))
    assert plain.headers["content-type"] == "application/json"
    read = plain.json
    assert (read["model_name"], read["model_version"], read["id"]) == ("digits", "1", "one")
    (output,) = read["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == ("probabilities", "FP32", [3, 10])
    assert np.allclose(np.array(output["data"], "<f4").reshape(3, 10), expected, rtol=1e-4, atol=1e-5)
    body, size = in_bytes(parameters={"binary_data_output": True})
    packed = infer(server, body, size)
    head = int(packed.headers[JSON_SIZE])
    assert json.loads(packed.body[:head])["outputs"][0]["parameters"] == {"binary_data_size": 120}
    assert packed.body[head:] == np.array(output["data"], "<f4").tobytes()


def test_infer_and_v2_share_one_entry_of_the_cache(fleet: dict[str, Server]) -> None:
    row = np.full((1, 64), 3.25, "<f4")
    gateway, worker = fleet["gateway"], fleet["worker"]
    seed = gateway.infer(row[0].tolist()).json
    hits = worker.get("/health").json["cache_hits"]
    plain = infer(gateway, json.dumps({"inputs": [pixels(row, data=row.tolist())]}).encode()).json
    body, size = in_bytes(row, outputs=[{"name": "probabilities", "parameters": {"binary_data": True}}])
    packed = infer(gateway, body, size)
    assert worker.get("/health").json["cache_hits"] == hits + 2
    assert plain["outputs"][0]["data"] == seed["output_data"]
    raw = packed.body[int(packed.headers[JSON_SIZE]) :]
    assert raw == np.array(seed["output_data"], "<f4").tobytes()


@pytest.mark.parametrize("name", ["gzip", "deflate"])
def test_bodies_are_unpacked_and_answers_packed_where_asked(server: Server, name: str) -> None:
    body, size = in_bytes(parameters={"binary_data_output": True})
    packed = (gzip.compress if name == "gzip" else zlib.compress)(body)
    plain = infer(server, body, size)
    answer = infer(server, packed, size, f"Content-Encoding: {name}", f"Accept-Encoding: {name}")
    assert answer.headers["content-encoding"] == name
    assert answer.headers[JSON_SIZE] == plain.headers[JSON_SIZE]
    assert (gzip.decompress if name == "gzip" else zlib.decompress)(answer.body) == plain.body
    page = server.ask(request(path="/v2", method="GET"))
    assert "content-encoding" not in page.headers
    wrong = infer(server, b"{}", "Accept-Encoding: gzip")
    assert wrong.error.startswith("model digits: inputs is missing")


def test_a_bomb_is_refused_while_it_unpacks(server: Server) -> None:
    bomb = gzip.compress(bytes(100 << 20))
    answer = infer(server, bomb, "Content-Encoding: gzip")
    assert answer.status == 413
    assert "when it is unpacked" in answer.error


def test_an_unknown_encoding_is_refused_with_those_that_are_known(server: Server) -> None:
    answer = infer(server, b"{}", "Content-Encoding: br")
    assert (answer.status, answer.headers["accept-encoding"]) == (400, "gzip, deflate")
    assert "send it as gzip" in answer.error


PAGES = [
    ("GET", "/v2", 200),
    ("GET", "/v2/health/live", 200),
    ("GET", "/v2/health/ready", 200),
    ("GET", "/v2/models", 200),
    ("GET", "/v2/models/stats", 200),
    ("GET", "/v2/models/digits", 200),
    ("GET", "/v2/models/digits/versions/1", 200),
    ("GET", "/v2/models/digits/ready", 200),
    ("GET", "/v2/models/digits/config", 200),
    ("GET", "/v2/models/digits/versions/1/stats", 200),
    ("POST", "/v2/repository/index", 200),
    ("POST", "/v2/repository/models/digits/load", 405),
    ("POST", "/v2/repository/models/digits/unload", 405),
    ("GET", "/v2/models/other", 404),
    ("GET", "/v2/models/other/ready", 404),
    ("GET", "/v2/models/digits/versions/2/config", 404),
    ("GET", "/v2/models/digits/nothing", 404),
    ("GET", "/v2x", 404),
    ("POST", "/v2/models/other/infer", 404),
    ("GET", ROUTE, 405),
    ("POST", "/v2/health/live", 405),
    ("DELETE", "/v2/models/digits", 405),
]


@pytest.mark.parametrize(("method", "path", "status"), PAGES)
def test_each_route_answers_in_json(server: Server, method: str, path: str, status: int) -> None:
    answer = server.ask(request(b"{}" if method == "POST" else b"", path=path, method=method))
    assert answer.status == status
    if status != 200:
        assert answer.error
    if status == 405 and "repository" not in path:
        assert answer.headers["allow"] == ("POST" if path == ROUTE else "GET")


def test_metadata_and_config_agree_about_the_batch_axis(server: Server) -> None:
    metadata = server.get("/v2/models/digits").json
    config = server.get("/v2/models/digits/config").json
    assert (metadata["name"], metadata["versions"]) == ("digits", ["1"])
    assert metadata["inputs"] == [{"name": "pixels", "datatype": "FP32", "shape": [-1, 64]}]
    assert metadata["outputs"] == [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 10]}]
    assert config["max_batch_size"] == 8
    assert config["input"] == [{"name": "pixels", "data_type": "TYPE_FP32", "dims": [64]}]
    assert config["output"] == [{"name": "probabilities", "data_type": "TYPE_FP32", "dims": [10]}]
    assert config["response_cache"] == {"enable": True}
    assert "dynamic_batching" in config


def test_the_statistics_have_every_name_that_clients_index(server: Server) -> None:
    assert infer(server, in_json()).status == 200
    (stats,) = server.get("/v2/models/digits/stats").json["model_stats"]
    assert (stats["name"], stats["version"]) == ("digits", "1")
    assert {"inference_count", "execution_count"} <= stats.keys()
    phases = stats["inference_stats"]
    names = {
        "success",
        "fail",
        "queue",
        "compute_input",
        "compute_infer",
        "compute_output",
        "cache_hit",
        "cache_miss",
    }
    assert phases.keys() == names
    assert all(phase.keys() == {"count", "ns"} for phase in phases.values())
    assert phases["success"]["count"] > 0
    assert phases["success"]["ns"] > 0
    assert phases["queue"]["count"] == phases["success"]["count"]
    assert stats["inference_count"] >= stats["execution_count"] > 0
    assert phases["compute_infer"]["ns"] > 0


def test_what_does_not_fit_is_refused_by_name_and_hurts_nobody_else(server: Server) -> None:
    with server.connect() as connection:
        wrong = json.dumps({"inputs": [pixels(ROWS[0], data=ROWS[0].tolist())]}).encode()
        answer = connection.ask(request(wrong, path=ROUTE))
        assert answer.status == 400
        assert "pixels" in answer.error
        assert "[64]" in answer.error
        assert connection.ask(request(in_json(), path=ROUTE)).status == 200
    for size in ("x", "-1", "1.0", "9" * 30):
        answer = infer(server, in_json(), f"Inference-Header-Content-Length: {size}")
        assert answer.status == 400
        assert "Inference-Header-Content-Length" in answer.error


def test_the_shorter_of_two_times_counts(server: Server) -> None:
    answer = infer(server, in_json(parameters={"timeout": 1}, id=str(np.random.default_rng().random())))
    assert answer.status in (200, 504)  # a microsecond is over, unless the cache answers at once
    row = np.random.default_rng().random((1, 64), "<f4")
    body, size = in_bytes(row, parameters={"timeout": 1})
    assert infer(server, body, size).status in (429, 504)


def test_a_large_body_of_json_is_decoded_beside_the_loop_and_answered_the_same(server: Server) -> None:
    rows = np.random.default_rng(5).random((1200, 64)).astype("<f4")
    body = json.dumps({"inputs": [pixels(rows, data=rows.tolist())], "id": "large"}).encode()
    assert len(body) > 1 << 20
    plain = infer(server, body)
    assert plain.status == 200, plain.body[:300]
    assert plain.json["id"] == "large"
    packed, size = in_bytes(rows, parameters={"binary_data_output": True})
    answer = infer(server, packed, size)
    raw = answer.body[int(answer.headers[JSON_SIZE]) :]
    assert raw == np.array(plain.json["outputs"][0]["data"], "<f4").tobytes()


def test_a_model_with_two_inputs_and_any_names_is_served(
    tmp_path_factory: pytest.TempPathFactory,
    tmp_path: Any,  # noqa: ANN401
) -> None:
    folder = tmp_path_factory.mktemp("two inputs")
    path = models.two_inputs(folder / "a b%.onnx")
    session = onnxruntime.InferenceSession(path)
    feed = {
        one.name: np.arange(2 * one.shape[1], dtype="<f4").reshape(2, -1) + number
        for number, one in enumerate(session.get_inputs())
    }
    with Servers(tmp_path) as servers:
        gateway, _ = servers.fleet(path)
        inputs = [
            {"name": name, "datatype": "FP32", "shape": array.shape, "data": array.tolist()}
            for name, array in reversed(feed.items())
        ]
        answer = infer(
            gateway,
            json.dumps({"inputs": inputs}).encode(),
            route=f"/v2/models/{quote('a b%', safe='')}/infer",
        )
        assert answer.status == 200, answer.body
        for output, array in zip(answer.json["outputs"], session.run(None, feed), strict=True):
            assert np.allclose(np.array(output["data"]).reshape(output["shape"]), array)


def test_health_needs_no_key_and_the_rest_of_v2_does(tmp_path: Any) -> None:  # noqa: ANN401
    keys = tmp_path / "keys"
    keys.write_text("")
    with Servers(tmp_path) as servers:
        worker = servers.worker(digits_path(), "--api-keys", str(keys))
        for path, status in (("/v2/health/live", 200), ("/v2/health/ready", 200), ("/v2", 401), (ROUTE, 401)):
            assert worker.get(path).status == status


def test_a_gateway_without_workers_lives_and_is_not_ready(tmp_path: Any) -> None:  # noqa: ANN401
    with Servers(tmp_path) as servers:
        worker = servers.worker(digits_path())
        gateway = servers.gateway([worker])
        worker.process.kill()
        until(lambda: gateway.get("/v2/health/ready").status == 503, gateway.log)
        assert gateway.get("/v2/health/live").json == {"live": True}
        assert gateway.get("/v2/models/digits/ready").status == 503
        assert infer(gateway, in_json()).status == 503


def test_raw_bytes_alone_are_an_input(server: Server) -> None:
    answer = infer(server, ROWS.tobytes(), "Inference-Header-Content-Length: 0")
    head = int(answer.headers[JSON_SIZE])
    assert json.loads(answer.body[:head])["outputs"][0]["shape"] == [3, 10]
    assert len(struct.unpack("<30f", answer.body[head:])) == 30


def ways() -> dict[str, tuple[bytes, tuple[str, ...]]]:
    """Requests of each form, right and wrong ones."""
    binary = {"parameters": {"binary_data_output": True}}
    body, size = in_bytes()
    packed, packed_size = in_bytes(**binary)
    return {
        "json": (in_json(id="é"), ()),
        "json in, bytes out": (in_json(**binary), ()),
        "bytes in, json out": (body, (size,)),
        "bytes": (packed, (packed_size,)),
        "raw": (ROWS.tobytes(), (f"{JSON_SIZE}: 0",)),
        "classes": (in_json(outputs=[{"name": "probabilities", "parameters": {"classification": 2}}]), ()),
        "no json": (b"{", ()),
        "no input": (b"{}", ()),
        "surplus bytes": (packed + b"!", (packed_size,)),
        "no size": (packed, (f"{JSON_SIZE}: many",)),
        "no time": (in_json(), ("X-Request-Timeout-Ms: soon",)),
    }


@pytest.mark.parametrize("way", ways())
def test_the_fast_way_and_the_ordinary_one_answer_alike(server: Server, way: str) -> None:
    body, headers = ways()[way]
    infer(server, body, *headers)  # now the answer is remembered for both
    fast = infer(server, body, *headers)
    ordinary = infer(server, body, *headers, "Expect: 100-continue")
    assert fast.status == ordinary.status
    assert fast.body == ordinary.body
    for answer in (fast, ordinary):
        answer.headers.pop("date")
    assert list(fast.headers.items()) == list(ordinary.headers.items())


@pytest.mark.parametrize("headers", [(), ("Expect: 100-continue",)], ids=["fast way", "ordinary way"])
@pytest.mark.parametrize("route", ["/infer", ROUTE])
def test_no_cache_computes_anew_and_refreshes(
    fleet: dict[str, Server], route: str, headers: tuple[str, ...]
) -> None:
    gateway, worker = fleet["gateway"], fleet["worker"]
    row = np.full((1, 64), 5.5 + len(headers), "<f4")
    plain = {"input_data": row[0].tolist()}
    body = json.dumps(plain if route == "/infer" else {"inputs": [pixels(row, data=row.tolist())]}).encode()
    first = infer(gateway, body, *headers, route=route)
    before = worker.get("/health").json
    assert infer(gateway, body, *headers, "Cache-Control: max-age=0, No-Cache", route=route).status == 200
    after = worker.get("/health").json
    assert after["cache_hits"] == before["cache_hits"]
    assert after["batch_processor"]["total_batches"] == before["batch_processor"]["total_batches"] + 1
    again = infer(gateway, body, *headers, route=route)
    assert worker.get("/health").json["cache_hits"] == before["cache_hits"] + 1
    assert again.status == first.status == 200


def test_a_packed_body_of_infer_is_unpacked(server: Server) -> None:
    body = json.dumps({"input_data": ROWS[0].tolist()}).encode()
    plain = server.infer(ROWS[0].tolist()).json
    packed = infer(server, gzip.compress(body), "Content-Encoding: gzip", route="/infer")
    assert packed.json["output_data"] == plain["output_data"]
    unknown = infer(server, body, "Content-Encoding: br", route="/infer")
    assert (unknown.status, unknown.headers["accept-encoding"]) == (400, "gzip, deflate")
