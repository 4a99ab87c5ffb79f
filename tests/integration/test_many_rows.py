"""Requests of more rows than one run takes, to real servers, beside onnxruntime called directly."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from ringserve.core.byte_strings import join
from ringserve.models.digits import digits_path
from tests.integration.servers import Answer, Server, Servers, request
from tests.support import models

CHANCE = np.random.default_rng(7)


def ask(server: Server, model: Path, feed: Mapping[str, Any]) -> Answer:
    """Send arrays as bytes, and want bytes."""
    types = {"float32": "FP32", "object": "BYTES"}
    blobs = [
        join(str(text).encode() for text in array.flat) if array.dtype == object else array.tobytes()
        for array in feed.values()
    ]
    inputs = [
        {
            "name": name,
            "shape": list(array.shape),
            "datatype": types[str(array.dtype)],
            "parameters": {"binary_data_size": len(blob)},
        }
        for (name, array), blob in zip(feed.items(), blobs, strict=True)
    ]
    head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    size = f"Inference-Header-Content-Length: {len(head)}"
    return server.ask(request(head + b"".join(blobs), size, path=f"/v2/models/{model.stem}/infer"))


def answered(answer: Answer) -> list[tuple[list[int], bytes]]:
    """Shape and bytes of each output."""
    assert answer.status == 200, answer.body
    at = int(answer.headers["inference-header-content-length"])
    found = []
    for output in json.loads(answer.body[:at])["outputs"]:
        size = output["parameters"]["binary_data_size"]
        found.append((output["shape"], answer.body[at : at + size]))
        at += size
    return found


def same(server: Server, model: Path, feed: Mapping[str, Any]) -> None:
    """Hold an answer against onnxruntime, which takes all rows at once."""
    session = onnxruntime.InferenceSession(model)
    for (shape, data), right in zip(
        answered(ask(server, model, feed)), session.run(None, dict(feed)), strict=True
    ):
        assert shape == list(right.shape)
        if right.dtype == object:
            assert data == join(str(text).encode() for text in right.flat)
        else:
            assert np.allclose(np.frombuffer(data, right.dtype).reshape(shape), right, rtol=1e-4, atol=1e-5)


def count(server: Server, metric: str) -> float:
    """The sum of a metric."""
    page = server.get("/metrics").body.decode()
    return sum(float(value) for value in re.findall(rf"^{metric}(?:{{[^}}]*}})? (\S+)$", page, re.MULTILINE))


@pytest.mark.parametrize("batching", ["eager", "window"])
def test_a_hundred_rows_through_a_gateway_run_eight_at_a_time(tmp_path: Path, batching: str) -> None:
    feed = {"pixels": CHANCE.random((100, 64), np.float32)}
    with Servers(tmp_path) as servers:
        gateway, (worker,) = servers.fleet(digits_path(), 1, "--max-batch", "8", "--batch-policy", batching)
        before = count(worker, "ringserve_runs_total")
        same(gateway, digits_path(), feed)
        assert count(worker, "ringserve_runs_total") == before + 13
        assert count(worker, "ringserve_requests_sliced_total") == 1
        same(gateway, digits_path(), feed)
        assert count(worker, "ringserve_cache_hits_total") == 1
        assert count(worker, "ringserve_runs_total") == before + 13
        assert worker.get("/health").json["total_requests"] == 2


def test_an_empty_queue_takes_more_rows_than_may_wait(tmp_path: Path) -> None:
    feed = {"pixels": CHANCE.random((3001, 64), np.float32)}
    with Servers(tmp_path) as servers:
        worker = servers.worker(digits_path(), "--max-queue", "50")
        same(worker, digits_path(), feed)
        health = worker.get("/health").json
        assert (health["queue_depth"], health["pending"]) == (0, 0)


def test_a_model_of_one_row_a_run_takes_many(tmp_path: Path) -> None:
    model = models.fixed_batch_one(tmp_path / "one.onnx")
    session = onnxruntime.InferenceSession(model)
    rows = CHANCE.random((37, 4), np.float32)
    right = np.concatenate([session.run(None, {"x": row[None]})[0] for row in rows])
    with Servers(tmp_path) as servers:
        gateway, _workers = servers.fleet(model, 1, "--free-batch", "off")
        ((shape, data),) = answered(ask(gateway, model, {"x": rows}))
        assert shape == [37, 2]
        assert np.allclose(np.frombuffer(data, "<f4").reshape(37, 2), right, rtol=1e-4, atol=1e-5)
        wrong = ask(gateway, model, {"x": rows[:, :3]})
        assert (wrong.status, wrong.error) == (400, "model one: input x has shape [1, 4], got [37, 3]")


def test_a_model_whose_batch_is_made_free_shares_runs_and_says_so(tmp_path: Path) -> None:
    model = models.fixed_batch_one(tmp_path / "one.onnx")
    session = onnxruntime.InferenceSession(model)
    rows = CHANCE.random((8, 4), np.float32)
    with Servers(tmp_path) as servers:
        worker = servers.worker(model, "--max-batch", "8")
        assert "model 'one': its fixed batch of 1 was made free, which changes no answer" in worker.log()
        metadata = worker.get("/v2/models/one").json
        assert [tensor["shape"] for tensor in metadata["inputs"] + metadata["outputs"]] == [[-1, 4], [-1, 2]]
        assert worker.get("/v2/models/one/config").json["max_batch_size"] == 8
        ((shape, data),) = answered(ask(worker, model, {"x": rows}))
        right = np.concatenate([session.run(None, {"x": row[None]})[0] for row in rows])
        assert np.allclose(np.frombuffer(data, "<f4").reshape(shape), right, rtol=1e-4, atol=1e-5)
        assert count(worker, "ringserve_runs_total") == 1


def test_inputs_outputs_and_strings_are_each_cut_by_rows(tmp_path: Path) -> None:
    with Servers(tmp_path) as servers:
        for make, feed in (
            (
                models.two_inputs,
                {"a": CHANCE.random((11, 4), np.float32), "b": CHANCE.random((11, 3), np.float32)},
            ),
            (models.two_outputs, {"x": CHANCE.random((11, 4), np.float32)}),
            (
                models.strings,
                {"x": np.array([["é" * (row % 5), "", str(row), "x"] for row in range(11)], object)},
            ),
        ):
            model = make(tmp_path / f"{make.__name__}.onnx")
            worker = servers.worker(model, "--max-batch", "4", name=make.__name__)
            same(worker, model, feed)
            assert count(worker, "ringserve_requests_sliced_total") == 1


def test_requests_of_different_rows_share_one_run_and_each_gets_its_own(tmp_path: Path) -> None:
    model = models.two_inputs(tmp_path / "two.onnx")
    feeds = [
        {"a": CHANCE.random((rows, 4), np.float32), "b": CHANCE.random((rows, 3), np.float32)}
        for rows in (1, 4, 2, 1)
    ]
    with Servers(tmp_path) as servers:
        window = ("--batch-policy", "window", "--batch-timeout-ms", "20000", "--max-batch", "8")
        worker = servers.worker(model, *window)
        with ThreadPoolExecutor(len(feeds)) as callers:
            list(callers.map(lambda feed: same(worker, model, feed), feeds))
        assert count(worker, "ringserve_runs_total") == 1
        assert worker.get("/health").json["batch_processor"]["full_batches"] == 1


def test_a_row_that_fails_fails_its_own_request_alone(tmp_path: Path) -> None:
    model = models.failing_on_value(tmp_path / "failing.onnx")
    rows = CHANCE.random((30, 4), np.float32)
    bad = rows.copy()
    bad[17, 0] = 2e6
    with Servers(tmp_path) as servers:
        gateway, (worker,) = servers.fleet(model, 1, "--max-batch", "8")
        assert ask(gateway, model, {"x": bad}).status == 500
        same(gateway, model, {"x": rows})
        health = worker.get("/health").json
        assert (health["queue_depth"], health["pending"], health["cache_size"]) == (0, 0, 1)
