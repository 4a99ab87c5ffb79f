"""The clients of Triton, unmodified, against a gateway and a worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from queue import Queue
from typing import Any

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from ringserve.core.tensor import DType
from tests.conformance.stock import KINDS, LIMIT_S, Client, Kind, check_echo, connected
from tests.integration.servers import Servers, free_port
from tests.support.all_types import ELEMENTS, everything, feed

MODEL = "all types"
Doors = dict[tuple[str, bool], str]


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    """Where a gateway and its worker listen, for HTTP and for gRPC."""
    folder = tmp_path_factory.mktemp("all types")
    ports = {role: free_port() for role in ("worker", "gateway")}
    with Servers(folder) as servers:
        worker = servers.worker(everything(folder / f"{MODEL}.onnx"), "--grpc-port", str(ports["worker"]))
        gateway = servers.gateway([worker], "--grpc-port", str(ports["gateway"]))
        found = {("worker", False): worker.address, ("gateway", False): gateway.address}
        yield found | {(role, True): f"127.0.0.1:{port}" for role, port in ports.items()}


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


@pytest.fixture(params=["gateway", "worker"])
def client(kind: Kind, doors: Doors, request: pytest.FixtureRequest) -> Iterator[Client]:
    with connected(kind, doors[request.param, kind.is_grpc]) as client:
        yield client


def of(*names: str) -> pytest.MarkDecorator:
    """For these clients alone."""
    found = [kind for kind in KINDS if kind.name in names]
    return pytest.mark.parametrize("kind", found, indirect=True, ids=lambda kind: kind.name)


@pytest.mark.parametrize("rows", [1, 5])
def test_every_type_goes_in_and_comes_back(client: Client, rows: int) -> None:
    arrays = feed(rows, rows)
    result = client.call("infer", MODEL, client.inputs(arrays), request_id="mine")
    check_echo(arrays, result)
    said = result.get_response()
    assert (said.id if client.kind.is_grpc else said["id"]) == "mine"


@of("http", "http.aio")
def test_json_and_bytes_are_mixed_in_one_request_and_one_answer(client: Client) -> None:
    arrays = feed(3, 11)
    inputs = []
    outputs = []
    for number, (name, array) in enumerate(arrays.items()):
        in_json = name not in {"FP16", "BF16"}
        inputs += client.inputs({name: array}, binary_data=not in_json or number % 2 == 0)
        outputs.append(client.output(name.lower(), binary_data=not in_json or number % 3 == 0))
    result = client.call("infer", MODEL, inputs, outputs=outputs)
    check_echo({name: one for name, one in arrays.items() if name != "BYTES"}, result)
    strings = result.as_numpy("bytes")
    assert strings.tolist() == arrays["BYTES"].tolist()


@of("http", "http.aio")
@pytest.mark.parametrize("packed", ["gzip", "deflate"])
def test_bodies_are_packed_both_ways(client: Client, packed: str) -> None:
    arrays = feed(9, 12)
    result = client.call(
        "infer",
        MODEL,
        client.inputs(arrays),
        request_compression_algorithm=packed,
        response_compression_algorithm=packed,
    )
    check_echo(arrays, result)


@of("grpc", "grpc.aio")
@pytest.mark.parametrize("packed", ["gzip", "deflate"])
def test_messages_are_packed(client: Client, packed: str) -> None:
    arrays = feed(9, 13)
    check_echo(arrays, client.call("infer", MODEL, client.inputs(arrays), compression_algorithm=packed))


def test_some_outputs_are_given_in_the_order_asked_for(client: Client) -> None:
    arrays = feed(2, 14)
    outputs = [client.output("int64"), client.output("bool")]
    result = client.call("infer", MODEL, client.inputs(arrays), outputs=outputs, model_version="1")
    check_echo(arrays, result, ["INT64", "BOOL"])
    assert result.as_numpy("fp32") is None


def test_the_largest_classes_are_named(client: Client) -> None:
    arrays = feed(2, 15)
    arrays["FP32"] = np.array([[0.5, 3.0, -1.0], [7.0, 1.0, 2.0]], np.float32)
    outputs = [client.output("fp32", class_count=2), client.output("int8")]
    result = client.call("infer", MODEL, client.inputs(arrays), outputs=outputs)
    assert result.as_numpy("fp32").tolist() == [
        [b"3.000000:1", b"0.500000:0"],
        [b"7.000000:0", b"2.000000:2"],
    ]
    check_echo(arrays, result, ["INT8"])


def test_parameters_that_we_do_not_use_do_no_harm(client: Client) -> None:
    arrays = feed(1, 16)
    result = client.call(
        "infer",
        MODEL,
        client.inputs(arrays),
        priority=3,
        timeout=10_000_000,
        sequence_id=7,
        sequence_start=True,
        parameters={"colour": "red", "count": 2, "share": 0.5, "wanted": True},
    )
    check_echo(arrays, result)


@of("http")
def test_many_are_under_way_at_a_time_over_http(client: Client) -> None:
    arrays = [feed(1, seed) for seed in range(20)]
    waiting = [client.own.async_infer(MODEL, client.inputs(inputs)) for inputs in arrays]
    for inputs, asked in zip(arrays, waiting, strict=True):
        check_echo(inputs, asked.get_result(timeout=LIMIT_S))


@of("grpc")
def test_many_are_under_way_at_a_time_over_grpc(client: Client) -> None:
    arrays = [feed(1, seed) for seed in range(20)]
    found: Queue[tuple[Any, Any]] = Queue()
    for seed, inputs in enumerate(arrays):
        client.own.async_infer(
            MODEL,
            client.inputs(inputs),
            lambda result, error: found.put((result, error)),
            request_id=str(seed),
        )
    for _ in arrays:
        result, error = found.get(timeout=LIMIT_S)
        assert error is None
        check_echo(arrays[int(result.get_response().id)], result)


@of("grpc")
def test_a_stream_is_answered_in_order_and_outlives_an_error(client: Client) -> None:
    arrays = [feed(1, seed) for seed in range(8)]
    found: Queue[tuple[Any, Any]] = Queue()
    client.own.start_stream(lambda result, error: found.put((result, error)))
    for seed, inputs in enumerate(arrays):
        name = "other" if seed == 3 else MODEL
        client.own.async_stream_infer(name, client.inputs(inputs), request_id=str(seed))
    for seed, inputs in enumerate(arrays):
        result, error = found.get(timeout=LIMIT_S)
        if seed == 3:
            assert "there is no model 'other' here" in str(error)
        else:
            assert error is None
            assert result.get_response().id == str(seed)
            check_echo(inputs, result)
    client.own.stop_stream()


@of("grpc.aio")
def test_a_stream_is_answered_in_order_in_a_loop_too(client: Client) -> None:
    arrays = [feed(1, seed) for seed in range(5)]

    async def requests() -> AsyncIterator[dict[str, Any]]:
        for inputs in arrays:
            yield {"model_name": MODEL, "inputs": client.inputs(inputs)}

    async def ask() -> None:
        number = 0
        async for result, error in client.own.stream_infer(requests()):
            assert error is None
            check_echo(arrays[number], result)
            number += 1
        assert number == len(arrays)

    client.runner.run(asyncio.wait_for(ask(), LIMIT_S))


def test_all_is_live_and_ready_and_an_unknown_model_is_not(client: Client) -> None:
    assert client.call("is_server_live") is True
    assert client.call("is_server_ready") is True
    assert client.call("is_model_ready", MODEL) is True
    assert client.call("is_model_ready", MODEL, "1") is True
    if not client.kind.is_grpc:  # grpc's raises the error
        assert client.call("is_model_ready", "other") is False


def test_perf_analyzer_finds_every_name_that_it_looks_up(client: Client) -> None:
    """It asks in this order, and gives up at the first name that is missing."""
    server = client.page("get_server_metadata")
    assert {"name", "version"} <= server.keys()
    assert {"statistics", "model_configuration", "binary_tensor_data"} <= set(server["extensions"])
    metadata = client.page("get_model_metadata", MODEL)
    config = client.page("get_model_config", MODEL)
    config = config.get("config", config)
    assert (metadata["name"], config["name"], config["platform"]) == (MODEL, MODEL, metadata["platform"])
    assert metadata["versions"] == ["1"]
    assert config["max_batch_size"] == 32
    assert config["dynamic_batching"]["preferred_batch_size"] == [32]
    assert config["response_cache"] == {"enable": True}
    for end, ends in (("input", "inputs"), ("output", "outputs")):
        assert [one["name"] for one in config[end]] == [one["name"] for one in metadata[ends]]
        for shown, told in zip(metadata[ends], config[end], strict=True):
            kind = "STRING" if shown["datatype"] == "BYTES" else shown["datatype"]
            assert told["data_type"] == f"TYPE_{kind}"
            assert [int(dim) for dim in shown["shape"]] == [-1, *(int(dim) for dim in told["dims"])]
    client.call("infer", MODEL, client.inputs(feed(1, 17)))
    for page in (
        client.page("get_inference_statistics", MODEL),
        client.page("get_inference_statistics", MODEL, "1"),
        client.page("get_inference_statistics"),
    ):
        (counted,) = page["model_stats"]
        check_statistics(counted, in_json=not client.kind.is_grpc)


PHASES = {"success", "fail", "queue", "compute_input", "compute_infer", "compute_output"}
PHASES |= {"cache_hit", "cache_miss"}


def check_statistics(counted: dict[str, Any], *, in_json: bool) -> None:
    """Every name is there; JSON made of a message leaves a 0 out."""
    assert (counted["name"], counted["version"]) == (MODEL, "1")
    phases = counted["inference_stats"]
    assert phases.keys() == PHASES
    assert int(phases["success"]["count"]) > 0
    assert int(phases["success"]["ns"]) > 0
    if in_json:
        assert all(phase.keys() == {"count", "ns"} for phase in phases.values())
        assert type(counted["inference_count"]) is type(counted["execution_count"]) is int
        assert type(counted["version"]) is str


def test_the_index_lists_what_is_ready(client: Client) -> None:
    page = client.page("get_model_repository_index")
    (row,) = page["models"] if client.kind.is_grpc else page
    assert (row["name"], row["version"], row["state"]) == (MODEL, "1", "READY")


def refused(client: Client, method: str, *given: Any, **named: Any) -> tuple[str, str]:  # noqa: ANN401
    """The status and the sentence of the error."""
    with pytest.raises(InferenceServerException) as caught:
        client.call(method, *given, **named)
    return str(caught.value.status()).removeprefix("StatusCode."), caught.value.message()


STATUS = {"404": "NOT_FOUND", "400": "INVALID_ARGUMENT"}


def test_what_is_wrong_is_told_by_status_and_sentence(client: Client) -> None:
    arrays = feed(1, 18)
    inputs = client.inputs(arrays)
    wrong_shape = client.inputs({"FP32": arrays["FP32"][0]}) + [one for one in inputs if one.name() != "FP32"]
    wrong_type = client.kind.messages.InferInput("INT8", [1, 3], "INT16")
    wrong_type.set_data_from_numpy(arrays["INT16"])
    cases: list[tuple[str, str, tuple[Any, ...], dict[str, Any]]] = [
        ("404", "other", ("infer", "other", inputs), {}),
        ("404", "9", ("infer", MODEL, inputs), {"model_version": "9"}),
        ("404", "other", ("get_model_metadata", "other"), {}),
        ("404", "other", ("get_model_config", "other"), {}),
        ("404", "other", ("get_inference_statistics", "other"), {}),
        ("400", "INT8", ("infer", MODEL, [one for one in inputs if one.name() != "INT8"]), {}),
        ("400", "FP32", ("infer", MODEL, wrong_shape), {}),
        (
            "400",
            "INT16",
            ("infer", MODEL, [wrong_type, *(one for one in inputs if one.name() != "INT8")]),
            {},
        ),
        ("400", "nothing", ("infer", MODEL, inputs), {"outputs": [client.output("nothing")]}),
    ]
    for status, named, given, more in cases:
        code, sentence = refused(client, *given, **more)
        assert code == (STATUS[status] if client.kind.is_grpc else status), sentence
        assert named in sentence
    check_echo(arrays, client.call("infer", MODEL, inputs))


@of("grpc", "grpc.aio")
def test_a_call_that_ran_out_of_time_says_so(client: Client) -> None:
    code, _ = refused(client, "infer", MODEL, client.inputs(feed(2000, 19)), client_timeout=0.001)
    assert code == "DEADLINE_EXCEEDED"
    code, _ = refused(client, "infer", MODEL, client.inputs(feed(2000, 20)), timeout=1)
    assert code in {"DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"}


@of("http", "http.aio")
def test_a_request_that_ran_out_of_time_says_so(client: Client) -> None:
    code, _ = refused(client, "infer", MODEL, client.inputs(feed(2000, 21)), timeout=1)
    assert code in {"504", "429"}


@pytest.mark.parametrize(
    "method", ["get_trace_settings", "get_log_settings", "get_system_shared_memory_status"]
)
def test_what_is_not_offered_is_refused_as_an_error_of_the_protocol(client: Client, method: str) -> None:
    code, sentence = refused(client, method)
    assert code == ("UNIMPLEMENTED" if client.kind.is_grpc else "404")
    assert sentence


def test_a_model_that_the_owner_did_not_put_under_control_is_not_unloaded(client: Client) -> None:
    _, sentence = refused(client, "unload_model", MODEL)
    assert sentence
    _, sentence = refused(client, "load_model", "other")
    assert sentence
    assert client.call("is_model_ready", MODEL)


def test_every_type_of_the_client_is_tried() -> None:
    assert set(ELEMENTS) == set(DType)
