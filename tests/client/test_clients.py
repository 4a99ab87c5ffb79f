"""Both clients against real servers."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ringserve
from ringserve.core.api_keys import line_of
from ringserve.core.tensor import DType
from ringserve.models.digits import digits_path
from tests.client.shells import SHELLS, Maker
from tests.integration.certificates import Authority
from tests.integration.servers import Server, Servers, free_port
from tests.support.all_types import ELEMENTS, GIVEN, everything, feed


@pytest.fixture(params=SHELLS, ids=["threads", "asyncio"])
def shell(request: pytest.FixtureRequest) -> Maker:
    made: Maker = request.param
    return made


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    """A gateway and its worker."""
    folder = tmp_path_factory.mktemp("all types")
    with Servers(folder) as servers:
        worker = servers.worker(everything(folder / "all types.onnx"))
        gateway = servers.gateway([worker], "--max-body-mb", "8")
        yield gateway, worker


@pytest.fixture(scope="module")
def url(fleet: tuple[Server, Server]) -> str:
    return f"http://{fleet[0].address}"


@pytest.fixture
def client(shell: Maker, url: str) -> Iterator[Any]:
    with shell(url) as client:
        yield client


MODEL = "all types"


@pytest.mark.parametrize("rows", [1, 3, 40])
def test_every_type_comes_back_as_it_was_sent(client: Any, rows: int) -> None:  # noqa: ANN401
    inputs = feed(rows, rows)
    answer = client.infer(MODEL, inputs, request_id="mine")
    assert (answer.model, answer.model_version, answer.id) == (MODEL, "1", "mine")
    assert [name.upper() for name in answer] == list(inputs)
    for name, array in inputs.items():
        back = answer[name.lower()]
        assert (back.dtype, back.shape) == (GIVEN[name].numpy or object, array.shape)
        np.testing.assert_array_equal(back, array.astype(back.dtype))


def test_some_outputs_can_be_asked_for_and_strings_be_given_as_numpy_has_them(client: Any) -> None:  # noqa: ANN401
    inputs = feed(2, 7)
    inputs["BYTES"] = np.array([["ä", "b", ""], ["", "日本", "c"]])
    wanted = inputs["BF16"].astype(np.float32)
    inputs["BF16"] = inputs["BF16"].view(np.uint16)
    answer = client.infer(MODEL, inputs, ["bytes", "bf16"], datatypes={"BF16": "BF16"})
    assert list(answer) == ["bytes", "bf16"]
    np.testing.assert_array_equal(answer["bytes"], inputs["BYTES"])
    np.testing.assert_array_equal(answer["bf16"], wanted)


def test_an_answer_can_be_had_that_nobody_remembered(
    client: Any,  # noqa: ANN401
    fleet: tuple[Server, Server],
) -> None:
    def hits() -> int:
        return int(fleet[1].get("/health").json["cache_hits"])

    inputs = feed(1, 12345)
    client.infer(MODEL, inputs, fresh=True)
    before = hits()
    client.infer(MODEL, inputs, fresh=True)
    assert hits() == before
    client.infer(MODEL, inputs)
    assert hits() == before + 1


def test_the_pages_are_objects_of_their_own(client: Any) -> None:  # noqa: ANN401
    assert client.live()
    assert client.ready()
    assert client.ready(MODEL)
    assert client.server().name == "ringserve"
    (state,) = client.models()
    assert (state.name, state.version, state.state) == (MODEL, "1", "READY")
    metadata = client.metadata(MODEL, "1")
    assert [one.datatype for one in metadata.inputs] == [dtype.name for dtype in ELEMENTS]
    assert metadata.inputs[0].shape == (-1, 3)
    assert client.config(MODEL)["max_batch_size"] == 32
    for page in (client.statistics(MODEL), client.statistics()):
        assert page["model_stats"][0]["name"] == MODEL


def test_an_error_has_its_type_and_the_servers_sentence(client: Any) -> None:  # noqa: ANN401
    with pytest.raises(ringserve.NotFound, match="'other'"):
        client.infer("other", feed(1, 0))
    with pytest.raises(ringserve.NotFound, match="'other'"):
        client.ready("other")
    with pytest.raises(ringserve.BadInput, match="inputs"):
        client.infer(MODEL, {"FP32": np.zeros((1, 3), np.float32)})
    with pytest.raises(ringserve.DeadlineExceeded):
        client.infer(MODEL, feed(4000, 1), timeout_s=0.002)
    assert client.live()


def test_a_body_over_the_limit_is_refused_with_a_sentence(client: Any) -> None:  # noqa: ANN401
    with pytest.raises(ringserve.BadInput, match="--max-body-mb") as caught:
        client.infer(MODEL, {"FP32": np.zeros((3_000_000, 3), np.float32)})
    assert caught.value.status == 413
    assert client.live()


def test_threads_share_one_client(url: str) -> None:
    arrays = [feed(1, seed) for seed in range(40)]
    with ringserve.Client(url) as client, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda inputs: client.infer(MODEL, inputs, ["int64"]), arrays))
    for inputs, answer in zip(arrays, answers, strict=True):
        np.testing.assert_array_equal(answer["int64"], inputs["INT64"])


def test_tasks_share_one_client(url: str) -> None:
    arrays = [feed(1, seed) for seed in range(40)]

    async def ask() -> list[ringserve.Answer]:
        async with ringserve.AsyncClient(url, connections_max=8) as client:
            return await asyncio.gather(*(client.infer(MODEL, inputs, ["int64"]) for inputs in arrays))

    for inputs, answer in zip(arrays, asyncio.run(ask()), strict=True):
        np.testing.assert_array_equal(answer["int64"], inputs["INT64"])


def test_a_worker_that_is_started_again_costs_no_call(tmp_path: Path) -> None:
    port = str(free_port())
    row = {"pixels": np.ones((1, 64), np.float32)}
    with Servers(tmp_path) as servers, ExitStack() as stack:
        first = servers.start("worker", port, "w", str(digits_path())).wait_ready()
        clients = [stack.enter_context(shell(f"http://{first.address}", retries=40)) for shell in SHELLS]
        before, _ = [client.infer("digits", row)["probabilities"] for client in clients]
        assert first.stop() == 0
        pool = stack.enter_context(ThreadPoolExecutor(2))
        waiting = [pool.submit(client.infer, "digits", row) for client in clients]
        servers.start("worker", port, "w", str(digits_path())).wait_ready()
        for asked in waiting:
            np.testing.assert_array_equal(asked.result()["probabilities"], before)


def secured(servers: Servers, folder: Path) -> tuple[Server, Authority]:
    authority, keys = Authority(folder), folder / "keys"
    keys.write_text(line_of("shop", "key-of-the-shop"))
    worker = servers.worker(digits_path(), "--api-keys", str(keys), *authority.flags("w"))
    return worker, authority


def test_a_key_and_a_certificate_are_shown_and_missed(tmp_path: Path) -> None:
    with Servers(tmp_path) as servers:
        worker, authority = secured(servers, tmp_path)
        url, row = f"https://{worker.address}", {"pixels": np.zeros((1, 64), np.float32)}
        shown = authority.client(authority.issue("c"))
        for shell in SHELLS:
            with shell(url, api_key="key-of-the-shop", tls=shown) as client:
                assert client.infer("digits", row)["probabilities"].shape == (1, 10)
            with shell(url, tls=shown) as client, pytest.raises(ringserve.Unauthorized, match="API key"):
                client.infer("digits", row)
            with shell(url, retries=0) as client, pytest.raises(ringserve.ConnectionFailed, match="no TLS"):
                client.infer("digits", row)


def test_importing_the_client_imports_nothing_of_the_server() -> None:
    look = "import sys, ringserve; ringserve.Client, ringserve.AsyncClient; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    server = {
        "onnxruntime",
        "grpc",
        "uvicorn",
        "starlette",
        "google.protobuf",
        "ringserve.net",
        "ringserve.wire",
    }
    assert server & set(done.stdout.split()) == set()


def test_every_type_is_among_those_tried() -> None:
    assert set(ELEMENTS) == set(DType)
