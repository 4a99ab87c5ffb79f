"""The whole, over real sockets: gateway, links, workers, onnxruntime."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnxruntime
import pytest

from ringserve.models.digits import digits_path, held_out
from tests.integration.servers import Server, Servers, infer_body, request

GOOD = request(infer_body([1.0] * 64, request_id="good"))
Fleet = tuple[Server, list[Server]]


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Servers(tmp_path_factory.mktemp("logs")) as servers:
        yield servers.fleet(digits_path(), 2)


@pytest.fixture(params=["gateway", "worker"])
def door(digits: Fleet, request: pytest.FixtureRequest) -> Server:
    gateway, workers = digits
    return gateway if request.param == "gateway" else workers[0]


def test_the_held_out_digits_are_answered_as_onnxruntime_does_and_then_remembered(digits: Fleet) -> None:
    images, labels = held_out()
    session = onnxruntime.InferenceSession(digits_path(), providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {session.get_inputs()[0].name: images})
    gateway, _workers = digits
    right = 0
    with gateway.connect() as connection:
        for second_pass in (False, True):
            for position, image in enumerate(images):
                body = infer_body(image.tolist(), request_id=str(position))
                answer = connection.ask(request(body))
                page = answer.json
                assert (answer.status, page["request_id"]) == (200, str(position))
                assert page["cached"] is second_pass
                np.testing.assert_allclose(page["output_data"], expected[position], rtol=1e-4, atol=1e-5)
                right += int(np.argmax(page["output_data"]) == labels[position])
    assert right / (2 * len(images)) >= 0.97


BAD_BODIES: list[tuple[bytes, str]] = [
    (b"nonsense", "not JSON"),
    (b'{"input_data": [NaN]}', "not JSON"),
    (b"\xff\xfe", "not JSON"),
    (b"{}", "input_data is missing"),
    (infer_body("1"), "must be a list of numbers"),
    (infer_body([1, 2, 3]), "[64]: expected 64 numbers, got 3"),
    (infer_body([True] * 64), "boolean true"),
    (infer_body(["1"] * 64), "the string"),
    (infer_body([1e39] * 64), "cannot hold"),
    (infer_body([[1] * 64]), "nested as"),
    (infer_body([1] * 64, request_id=5), "request_id must be a string"),
]


@pytest.mark.parametrize("headers", [(), ("Expect: 100-continue",)], ids=["fast way", "ordinary way"])
def test_bad_input_gets_its_sentence_and_hurts_nobody_on_the_connection(
    door: Server, headers: tuple[str, ...]
) -> None:
    with door.connect() as connection:
        for body, sentence in BAD_BODIES:
            answer = connection.ask(request(body, *headers))
            assert answer.status == 400
            assert sentence in answer.error
            assert connection.ask(GOOD).status == 200
        answer = connection.ask(request(infer_body([1.0] * 64), "X-Request-Timeout-Ms: soon", *headers))
        assert answer.status == 400
        assert "X-Request-Timeout-Ms" in answer.error


def test_routes_and_methods_that_do_not_exist_say_so(door: Server) -> None:
    with door.connect() as connection:
        for method, path, status in (
            ("GET", "/nope", 404),
            ("POST", "/v2/models/x/infer", 404),
            ("GET", "/infer", 405),
        ):
            answer = connection.ask(request(method=method, path=path))
            assert answer.error
            assert answer.status == status
            assert ("POST" in answer.headers.get("allow", "")) == (status == 405)
        assert connection.ask(GOOD).status == 200


def test_a_deadline_that_passed_is_504(digits: Fleet) -> None:
    gateway, _workers = digits
    answer = gateway.infer([7.25] * 64, "X-Request-Timeout-Ms: 0.001")
    assert answer.status == 504
    assert answer.error


def test_the_pages_have_the_fields_that_scripts_read(digits: Fleet) -> None:
    gateway, workers = digits
    health = workers[0].get("/health")
    assert health.status == 200
    assert set(health.json) >= {
        "healthy",
        "node_id",
        "total_requests",
        "cache_hits",
        "cache_size",
        "cache_hit_rate",
    }
    batches = health.json["batch_processor"]
    assert set(batches) >= {"total_batches", "avg_batch_size", "timeout_batches", "full_batches"}
    stats = gateway.get("/stats")
    assert (stats.status, stats.json["total_workers"]) == (200, 2)
    rows = stats.json["circuit_breakers"]
    assert [row["node"] for row in rows] == [worker.address for worker in workers]
    assert all(row["state"] == "CLOSED" for row in rows)


def test_the_time_of_an_answer_is_told_in_microseconds_and_not_in_milliseconds(digits: Fleet) -> None:
    gateway, _workers = digits
    with gateway.connect() as connection:
        bodies = [infer_body([3.5, float(number), *[1.0] * 62]) for number in range(30)]
        times = [connection.ask(request(body)).json["inference_time_us"] for body in bodies]
    assert all(isinstance(one, int) and one > 0 for one in times)
    assert any(one % 1000 not in {0, 999} for one in times)
