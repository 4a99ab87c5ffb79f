"""The Open Inference Protocol over gRPC, at a gateway's door and at a worker's."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import grpc
import numpy as np
import pytest

from ringserve.core.api_keys import line_of
from ringserve.models.digits import digits_path
from ringserve.wire.proto.messages import HEALTH, REFLECTION, InferRequest, message
from tests.integration.certificates import Authority
from tests.integration.grpc_caller import LIMIT_S, Caller, caller, code_of, digits_request
from tests.integration.servers import Server, Servers, free_port, until
from tests.support import models

ROWS = np.arange(3 * 64, dtype="<f4").reshape(3, 64) % 17


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Server, int]]]:
    """A gateway and a worker, each with its port for gRPC."""
    own, gateways = free_port(), free_port()
    with Servers(tmp_path_factory.mktemp("logs")) as servers:
        worker = servers.worker(digits_path(), "--grpc-port", str(own), "--max-body-mb", "8")
        gateway = servers.gateway([worker], "--grpc-port", str(gateways), "--max-body-mb", "8")
        yield {"gateway": (gateway, gateways), "worker": (worker, own)}


@pytest.fixture(params=["gateway", "worker"])
def server(fleet: dict[str, tuple[Server, int]], request: pytest.FixtureRequest) -> Server:
    return fleet[request.param][0]


@pytest.fixture
def asked(fleet: dict[str, tuple[Server, int]], server: Server) -> Iterator[Caller]:
    (port,) = (port for one, port in fleet.values() if one is server)
    with caller(port) as asked:
        yield asked


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    with Servers(tmp_path) as servers:
        yield servers


def numbers(answer: object) -> bytes:
    (raw,) = answer.raw_output_contents  # type: ignore[attr-defined]
    assert isinstance(raw, bytes)
    return raw


def hits(fleet: dict[str, tuple[Server, int]]) -> int:
    return int(fleet["worker"][0].get("/health").json["cache_hits"])


def test_an_answer_is_that_of_infer_and_shares_its_entry_of_the_cache(
    fleet: dict[str, tuple[Server, int]], server: Server, asked: Caller
) -> None:
    row = np.full((1, 64), 2.5 + (server.address == fleet["worker"][0].address), "<f4")
    answer = asked.infer(row, id="mine")
    assert (answer.model_name, answer.model_version, answer.id) == ("digits", "1", "mine")
    assert [(one.name, one.datatype, list(one.shape)) for one in answer.outputs] == [
        ("probabilities", "FP32", [1, 10])
    ]
    before = hits(fleet)
    plain = server.infer(row[0].tolist()).json
    assert np.array(plain["output_data"], "<f4").tobytes() == numbers(answer)
    assert plain["cached"]
    assert numbers(asked.infer(row)) == numbers(answer)
    assert hits(fleet) == before + 2


def test_no_cache_in_the_metadata_computes_anew(fleet: dict[str, tuple[Server, int]]) -> None:
    worker = fleet["worker"][0]
    row = np.full((1, 64), 7.25, "<f4")
    with caller(fleet["gateway"][1], ("cache-control", "no-cache")) as asked:
        asked.infer(row)
        before = worker.get("/health").json
        asked.infer(row)
    after = worker.get("/health").json
    assert after["cache_hits"] == before["cache_hits"]
    assert after["batch_processor"]["total_batches"] == before["batch_processor"]["total_batches"] + 1


def test_typed_contents_and_several_rows_are_answered_alike(asked: Caller) -> None:
    raw = asked.infer(ROWS)
    assert list(raw.outputs[0].shape) == [3, 10]
    typed = digits_request(ROWS)
    del typed.raw_input_contents[:]
    typed.inputs[0].contents.fp32_contents.extend(ROWS.reshape(-1).tolist())
    assert numbers(asked.send("ModelInfer", typed).result()) == numbers(raw)


def test_pages_are_those_of_rest(asked: Caller, server: Server) -> None:
    assert asked.call("ServerLive").live
    assert asked.call("ServerReady").ready
    assert asked.call("ModelReady", name="digits", version="1").ready
    assert asked.call("ServerMetadata").name == "ringserve"
    metadata = asked.call("ModelMetadata", name="digits")
    assert list(metadata.inputs[0].shape) == server.get("/v2/models/digits").json["inputs"][0]["shape"]
    config = asked.call("ModelConfig", name="digits").config
    assert (config.name, list(config.input[0].dims), config.response_cache.enable) == ("digits", [64], True)
    assert config.max_batch_size == server.get("/v2/models/digits/config").json["max_batch_size"]
    (counted,) = asked.call("ModelStatistics", name="digits").model_stats
    assert (counted.name, counted.version) == ("digits", "1")
    assert asked.call("ModelStatistics").model_stats[0].name == "digits"
    (row,) = asked.call("RepositoryIndex", ready=True).models
    assert (row.name, row.state) == ("digits", "READY")


@pytest.mark.parametrize("method", ["RepositoryModelLoad", "RepositoryModelUnload"])
def test_a_server_whose_models_do_not_change_says_so(asked: Caller, method: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        asked.call(method, model_name="digits")
    assert code_of(caught.value)[0] == "UNIMPLEMENTED"
    with pytest.raises(grpc.RpcError) as caught:
        asked.call(method, repository_name="digits")  # where KServe's messages have the model's name
    assert code_of(caught.value)[0] == "UNIMPLEMENTED"
    with pytest.raises(grpc.RpcError) as caught:
        asked.call(method)
    assert code_of(caught.value)[0] == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("change", "code", "sentence"),
    [
        ({"model_name": "other"}, "NOT_FOUND", "there is no model 'other' here"),
        ({"model_version": "9"}, "NOT_FOUND", "no version '9'"),
        ({"raw_input_contents": [b"1234"]}, "INVALID_ARGUMENT", "has 768 bytes, got 4"),
        ({"raw_input_contents": []}, "INVALID_ARGUMENT", "has 192 elements, got 0"),
    ],
)
def test_an_error_has_its_code_and_its_sentence(
    asked: Caller, change: dict[str, object], code: str, sentence: str
) -> None:
    call = asked.send("ModelInfer", digits_request(ROWS, **change))
    assert call.exception(LIMIT_S) is not None
    assert call.code().name == code
    assert sentence in call.details()


def test_a_stream_is_answered_in_order_and_goes_on_after_an_error(asked: Caller) -> None:
    rows = [np.full((1, 64), number, "<f4") for number in range(40)]
    requests = [digits_request(row, id=str(number)) for number, row in enumerate(rows)]
    requests[7].model_name = "other"
    answers = list(asked.stream(iter(requests)))
    assert [one.infer_response.id for one in answers] == [str(number) for number in range(40)]
    assert [number for number, one in enumerate(answers) if one.error_message] == [7]
    assert numbers(answers[3].infer_response) == numbers(asked.infer(rows[3]))


def test_a_message_over_the_limit_of_http_bodies_is_refused_and_one_below_is_not(asked: Caller) -> None:
    small = np.zeros((16_384, 64), "<f4")  # 4 MB and more: beyond grpcio's default
    assert asked.send("ModelInfer", digits_request(small)).exception(LIMIT_S) is None
    large = asked.send("ModelInfer", digits_request(np.zeros((40_000, 64), "<f4")))
    assert large.exception(LIMIT_S) is not None
    assert large.code().name == "RESOURCE_EXHAUSTED"


def test_health_is_told_of_server_and_models(asked: Caller) -> None:
    assert asked.health() == asked.health("digits") == "SERVING"
    with pytest.raises(grpc.RpcError) as caught:
        asked.health("other")
    assert code_of(caught.value)[0] == "NOT_FOUND"


def test_reflection_lists_the_services(asked: Caller) -> None:
    stub = asked.channel.stream_stream(f"/{REFLECTION}/ServerReflectionInfo")
    package = REFLECTION.rpartition(".")[0]
    request = message(f"{package}.ServerReflectionRequest")(list_services="")
    (data,) = stub(iter([request.SerializeToString()]), timeout=LIMIT_S)
    found = message(f"{package}.ServerReflectionResponse").FromString(data)
    assert HEALTH in [one.name for one in found.list_services_response.service]


def test_outcomes_are_counted(asked: Caller, server: Server) -> None:
    asked.infer(ROWS)
    page = server.get("/metrics").body.decode()
    assert 'ringserve_grpc_requests_total{code="OK",method="ModelInfer"}' in page


def slow_request(asked: Caller) -> Any:  # noqa: ANN401 - a message
    spec = asked.call("ModelMetadata", name="slow")
    shape = [abs(dim) for dim in spec.inputs[0].shape]
    request = InferRequest(model_name="slow", raw_input_contents=[np.ones(shape, "<f4").tobytes()])
    request.inputs.add(name=spec.inputs[0].name, datatype="FP32", shape=shape)
    return request


def test_a_deadline_of_either_kind_ends_a_call(servers: Servers, tmp_path: Path) -> None:
    port = free_port()
    worker = servers.worker(models.slow(tmp_path / "slow.onnx", 2.0), "--grpc-port", str(port))
    with caller(port) as asked:
        request = slow_request(asked)
        assert asked.send("ModelInfer", request, 0.2).exception(LIMIT_S).code().name == "DEADLINE_EXCEEDED"
        request.parameters["timeout"].int64_param = 200_000
        assert asked.send("ModelInfer", request).exception(LIMIT_S).code().name == "DEADLINE_EXCEEDED"
        del request.parameters["timeout"]
        left = asked.send("ModelInfer", request)
        until(lambda: worker.get("/health").json["pending"] == 1, lambda: worker.get("/health").json)
        left.cancel()
        until(lambda: worker.get("/health").json["pending"] == 0, lambda: worker.get("/health").json)


def test_what_was_accepted_is_answered_when_a_server_stops(servers: Servers, tmp_path: Path) -> None:
    port = free_port()
    worker = servers.worker(models.slow(tmp_path / "slow.onnx", 1.0), "--grpc-port", str(port))
    with caller(port) as asked:
        request = slow_request(asked)
        idle: Queue[int] = Queue()
        stream = asked.stream(iter(idle.get, 0))
        call = asked.send("ModelInfer", request)
        until(lambda: worker.get("/health").json["pending"] == 1, lambda: worker.get("/health").json)
        assert worker.stop(signal.SIGTERM) == 0
        assert call.exception(LIMIT_S) is None
        with pytest.raises(grpc.RpcError):
            next(stream)
        idle.put(0)


def test_a_taken_port_is_a_usage_error(fleet: dict[str, tuple[Server, int]]) -> None:
    """The server that has it serves on: no other shares it unnoticed."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for port in (taken.getsockname()[1], fleet["gateway"][1]):
            command = ["gateway", "h:1", "--port", "0", "--grpc-port", str(port)]
            ended = subprocess.run(
                [sys.executable, "-m", "ringserve", *command],
                capture_output=True,
                text=True,
                timeout=50,
                check=False,
            )
            assert ended.returncode == 2
            assert ended.stderr.startswith(f"ringserve: --grpc-port: port {port} on 127.0.0.1 is taken")
            assert len(ended.stderr.splitlines()) == 1


def test_keys_hold_for_grpc_and_health_stays_open(servers: Servers, tmp_path: Path) -> None:
    port, keys = free_port(), tmp_path / "keys"
    keys.write_text(line_of("shop", "key-of-the-shop"))
    servers.worker(digits_path(), "--grpc-port", str(port), "--api-keys", str(keys))
    with caller(port) as stranger:
        call = stranger.send("ModelInfer", digits_request(ROWS))
        assert call.exception(LIMIT_S).code().name == "UNAUTHENTICATED"
        assert stranger.call("ServerReady").ready
        assert stranger.health() == "SERVING"
    for header in (("authorization", "Bearer key-of-the-shop"), ("x-api-key", "key-of-the-shop")):
        with caller(port, header) as known:
            assert len(numbers(known.infer(ROWS))) == 120


def test_grpc_speaks_tls_with_the_certificates_of_http(servers: Servers, tmp_path: Path) -> None:
    port, authority = free_port(), Authority(tmp_path)
    flags = authority.flags("w", ca=False)
    servers.worker(digits_path(), "--grpc-port", str(port), *flags)
    trusted = grpc.ssl_channel_credentials(authority.path.read_bytes())
    with caller(port, tls=trusted) as asked:
        assert asked.call("ServerLive").live
    with caller(port) as plain:
        assert (
            plain.send("ServerLive", message("inference.ServerLiveRequest")(), 5).exception(LIMIT_S)
            is not None
        )


def is_let_in(port: int, tls: grpc.ChannelCredentials) -> bool:
    with caller(port, tls=tls) as asked:
        return bool(
            asked.send("ServerLive", message("inference.ServerLiveRequest")(), 5).exception(LIMIT_S) is None
        )


def test_callers_must_show_a_certificate_where_those_of_http_must(servers: Servers, tmp_path: Path) -> None:
    port, authority = free_port(), Authority(tmp_path)
    servers.worker(digits_path(), "--grpc-port", str(port), *authority.flags("w"))
    root = authority.path.read_bytes()
    cert, key = (path.read_bytes() for path in authority.issue("c"))
    assert is_let_in(port, grpc.ssl_channel_credentials(root, key, cert))
    assert not is_let_in(port, grpc.ssl_channel_credentials(root))


def test_new_certificates_are_shown_to_new_connections(servers: Servers, tmp_path: Path) -> None:
    port, old = free_port(), Authority(tmp_path, "old")
    worker = servers.worker(digits_path(), "--grpc-port", str(port), *old.flags("w", ca=False))
    assert is_let_in(port, grpc.ssl_channel_credentials(old.path.read_bytes()))
    new = Authority(tmp_path, "new")
    new.issue("w")
    trusted = grpc.ssl_channel_credentials(new.path.read_bytes())
    until(lambda: is_let_in(port, trusted), worker.log)


def test_a_restart_renews_the_gateway_that_serves_grpc(servers: Servers) -> None:
    port = free_port()
    up = servers.up("--grpc-port", str(port), workers=1).wait_ready()
    with caller(port) as asked:
        assert len(numbers(asked.infer(ROWS))) == 120
    command = [sys.executable, "-m", "ringserve", "restart", "--port", str(up.port)]
    subprocess.run(command, check=True, capture_output=True, timeout=55)
    with caller(port) as asked:
        assert len(numbers(asked.infer(ROWS))) == 120
    assert up.stop() == 0


def test_a_worker_without_the_port_does_not_import_grpcio(servers: Servers) -> None:
    worker = servers.worker(digits_path())
    maps = Path(f"/proc/{worker.process.pid}/maps").read_text()
    assert "grpc" not in maps


def test_the_first_of_several_gateways_serves_grpc(servers: Servers) -> None:
    port = free_port()
    up = servers.up("--gateways", "2", "--grpc-port", str(port), workers=1).wait_ready()
    with caller(port) as asked:
        grpc.channel_ready_future(asked.channel).result(LIMIT_S)
        until(lambda: bool(asked.call("ServerReady").ready), up.log)
        assert len(numbers(asked.infer(ROWS))) == 120
    assert up.stop() == 0
