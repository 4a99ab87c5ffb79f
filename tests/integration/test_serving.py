"""The whole, over real sockets: gateway, links, workers, onnxruntime."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from ringserve.models.digits import digits_path, held_out
from tests.integration.processes import Server, fleet

GOOD = {"request_id": "good", "input_data": [1.0] * 64}
Fleet = tuple[Server, list[Server]]


@pytest.fixture(scope="module")
def digits() -> Iterator[Fleet]:
    with fleet(digits_path(), 2, "--max-body-mb", "1") as running:
        yield running


@pytest.fixture(params=["gateway", "worker"])
def door(digits: Fleet, request: pytest.FixtureRequest) -> Server:
    gateway, workers = digits
    return gateway if request.param == "gateway" else workers[0]


def post(
    connection: http.client.HTTPConnection, body: object, **headers: str
) -> tuple[int, dict[str, object], http.client.HTTPResponse]:
    data = body if isinstance(body, bytes) else json.dumps(body)
    connection.request(
        "POST", "/infer", data, {name.replace("_", "-"): value for name, value in headers.items()}
    )
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read()), answer


def test_the_held_out_digits_are_answered_as_onnxruntime_does_and_then_remembered(digits: Fleet) -> None:
    images, labels = held_out()
    session = onnxruntime.InferenceSession(digits_path(), providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {session.get_inputs()[0].name: images})
    gateway, _workers = digits
    connection = gateway.connect()
    right = 0
    for second_pass in (False, True):
        for position, image in enumerate(images):
            status, page, _answer = post(
                connection, {"request_id": str(position), "input_data": image.tolist()}
            )
            assert (status, page["request_id"]) == (200, str(position))
            assert page["cached"] is second_pass
            np.testing.assert_allclose(page["output_data"], expected[position], rtol=1e-4, atol=1e-5)
            right += int(np.argmax(page["output_data"]) == labels[position])
    assert right / (2 * len(images)) >= 0.97
    connection.close()


BAD_BODIES: list[tuple[object, str]] = [
    (b"nonsense", "not JSON"),
    (b'{"input_data": [NaN]}', "not JSON"),
    (b"\xff\xfe", "not JSON"),
    ({}, "input_data is missing"),
    ({"input_data": "1"}, "must be a list of numbers"),
    ({"input_data": [1, 2, 3]}, "[64]: expected 64 numbers, got 3"),
    ({"input_data": [True] * 64}, "boolean true"),
    ({"input_data": ["1"] * 64}, "the string"),
    ({"input_data": [1e39] * 64}, "cannot hold"),
    ({"input_data": [[1] * 64]}, "nested as"),
    ({"request_id": 5, "input_data": [1] * 64}, "request_id must be a string"),
]


@pytest.mark.parametrize("way", ["fast", "ordinary"])
def test_bad_input_gets_its_sentence_and_hurts_nobody_on_the_connection(door: Server, way: str) -> None:
    connection = door.connect()
    headers = {} if way == "fast" else {"Expect": "100-continue"}
    for body, sentence in BAD_BODIES:
        status, page, answer = post(connection, body, **headers)
        assert (status, answer.headers["content-type"]) == (400, "application/json")
        assert sentence in str(page["error"])
        assert post(connection, GOOD)[0] == 200
    status, page, _answer = post(connection, GOOD, X_Request_Timeout_Ms="soon", **headers)
    assert status == 400
    assert "X-Request-Timeout-Ms" in str(page["error"])
    connection.close()


def test_routes_and_methods_that_do_not_exist_say_so(door: Server) -> None:
    connection = door.connect()
    for method, path, status in (
        ("GET", "/nope", 404),
        ("POST", "/v2/models/x/infer", 404),
        ("GET", "/infer", 405),
    ):
        connection.request(method, path)
        answer = connection.getresponse()
        assert "error" in json.loads(answer.read())
        assert (answer.status, answer.headers["content-type"]) == (status, "application/json")
        assert ("POST" in (answer.headers["allow"] or "")) == (status == 405)
    assert post(connection, GOOD)[0] == 200
    connection.close()


def raw(server: Server, data: bytes) -> bytes:
    """What comes back until the server closes."""
    with socket.create_connection((server.host, server.port), timeout=10) as connection:
        connection.sendall(data)
        received = b""
        while part := connection.recv(65536):
            received += part
        return received


def test_a_body_over_the_limit_is_refused_from_its_header(digits: Fleet) -> None:
    _gateway, workers = digits
    head = b"POST /infer HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n"
    assert raw(workers[0], head).startswith(b"HTTP/1.1 413 ")
    chunk = b"40000\r\n" + b"1" * 0x40000 + b"\r\n"
    chunked = b"POST /infer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 5
    assert raw(workers[0], chunked).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nab",
        b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        b"Content-Length: x\r\n\r\n",
        b"Bad Header\r\n\r\n",
    ],
)
def test_a_head_that_could_smuggle_is_refused_and_the_connection_closed(door: Server, head: bytes) -> None:
    answer = raw(door, b"POST /infer HTTP/1.1\r\nHost: x\r\n" + head)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'{"error":' in answer
    assert b"connection: close" in answer.lower()


def plain(body: bytes, more: bytes = b"") -> bytes:
    return b"POST /infer HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n%b" % (more, len(body), body)


def test_pipelined_requests_are_answered_in_order_by_both_ways(door: Server) -> None:
    body = json.dumps(GOOD).encode()
    chunked = (
        b"POST /infer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
        % (len(body), body)
    )
    first = body.replace(b"good", b"1st!")
    health = b"GET /model HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = raw(door, plain(first) + chunked + plain(body) + health)
    assert answer.count(b"HTTP/1.1 200 OK") == 4
    places = [
        answer.index(b'"1st!"'),
        answer.index(b'"good"'),
        answer.rindex(b'"good"'),
        answer.index(b'"inputs"'),
    ]
    assert places == sorted(places)
    one, other = [part for part in answer.split(b"HTTP/1.1 ") if b'"good"' in part]
    assert (
        one.split(b"inference_time_us")[0].split(b"content-length")[0]
        == (other.split(b"inference_time_us")[0].split(b"content-length")[0])
    )


def test_an_upgrade_that_is_not_ours_is_ignored_and_its_body_kept(door: Server) -> None:
    body = json.dumps(GOOD).encode()
    offer = (
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"
    )
    last = plain(body, b"Connection: close\r\n")
    answer = raw(door, plain(body, offer) + last)
    assert answer.count(b"HTTP/1.1 200 OK") == 2


def test_a_deadline_that_passed_is_504(digits: Fleet) -> None:
    gateway, _workers = digits
    connection = gateway.connect()
    status, page, _answer = post(connection, {"input_data": [7.25] * 64}, X_Request_Timeout_Ms="0.001")
    assert status == 504
    assert "error" in page
    connection.close()


def test_the_pages_have_the_fields_that_scripts_read(digits: Fleet) -> None:
    gateway, workers = digits
    status, page = workers[0].get("/health")
    assert status == 200
    assert {"healthy", "node_id", "total_requests", "cache_hits", "cache_size", "cache_hit_rate"} <= set(page)
    batches = page["batch_processor"]
    assert isinstance(batches, dict)
    assert {"total_batches", "avg_batch_size", "timeout_batches", "full_batches"} <= set(batches)
    status, page = gateway.get("/stats")
    assert (status, page["total_workers"]) == (200, 2)
    rows = page["circuit_breakers"]
    assert isinstance(rows, list)
    assert [row["node"] for row in rows] == [worker.address for worker in workers]
    assert all(row["state"] == "CLOSED" for row in rows)


def test_a_worker_that_is_killed_under_load_costs_no_request() -> None:
    with fleet(digits_path(), 2) as (gateway, workers):
        statuses: list[int] = []

        def ask(client: int) -> None:
            connection = gateway.connect()
            for number in range(150):
                body = {"input_data": [float(client), float(number), *[0.5] * 62]}
                statuses.append(post(connection, body)[0])
            connection.close()

        clients = [threading.Thread(target=ask, args=(client,)) for client in range(8)]
        for client in clients:
            client.start()
        workers[0].end(signal.SIGKILL)
        for client in clients:
            client.join()
        assert statuses == [200] * len(clients) * 150


def test_sigterm_drains_and_exits_with_0() -> None:
    with fleet(digits_path(), 1) as (gateway, workers):
        connection = gateway.connect()
        assert post(connection, GOOD)[0] == 200
        connection.close()
        assert gateway.end() == 0
        assert workers[0].end() == 0


def test_what_cannot_be_served_is_one_line_and_status_2(digits: Fleet, tmp_path: Path) -> None:
    gateway, workers = digits
    corrupt = tmp_path / "corrupt.onnx"
    corrupt.write_bytes(b"nothing")
    cases = [
        (["worker", str(workers[0].port), "w", str(digits_path())], "taken"),
        (["gateway", workers[0].address, "--port", str(gateway.port)], "taken"),
        (["worker", "0", "w", str(tmp_path / "missing.onnx")], "missing.onnx"),
        (["worker", "0", "w", str(corrupt)], "corrupt.onnx"),
        (["worker", "0", "w", str(digits_path()), "--provider", "abacus"], "abacus"),
    ]
    for arguments, sentence in cases:
        server = Server(arguments)
        assert server.wait() == 2
        assert len(server.lines) == 1, server.lines
        assert sentence in server.lines[0]


def test_the_time_of_an_answer_is_told_in_microseconds_and_not_in_milliseconds(digits: Fleet) -> None:
    gateway, _workers = digits
    connection = gateway.connect()
    times = [
        post(connection, {"input_data": [3.5, float(number), *[1.0] * 62]})[1]["inference_time_us"]
        for number in range(30)
    ]
    connection.close()
    assert all(isinstance(one, int) and one > 0 for one in times)
    assert any(isinstance(one, int) and one % 1000 not in {0, 999} for one in times)


def test_a_head_that_is_too_long_or_too_slow_is_refused(tmp_path: Path) -> None:
    flags = ["--max-header-kb", "4", "--header-timeout-s", "1"]
    with fleet(digits_path(), 1, *flags) as (_gateway, workers):
        start = b"POST /infer HTTP/1.1\r\nHost: x\r\n"
        for size in (5_000, 200_000):
            answer = raw(workers[0], start + b"X-Long: " + b"a" * size + b"\r\nContent-Length: 0\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 431 "), size
        padded = json.dumps(GOOD | {"unknown": "x" * 50_000}).encode()
        with socket.create_connection((workers[0].host, workers[0].port), timeout=10) as cut:
            cut.sendall(start)  # the rest of the head comes with a body that is longer than a head may be
            cut.sendall(b"Connection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(padded), padded))
            assert cut.recv(65536).startswith(b"HTTP/1.1 200")
        with socket.create_connection((workers[0].host, workers[0].port), timeout=10) as slow:
            slow.settimeout(0.2)
            received = b""
            slow.sendall(start)
            for _ in range(40):
                try:
                    received = slow.recv(65536)
                    break
                except TimeoutError:
                    slow.sendall(b"a")  # a byte now and then does not buy more time
            assert received.startswith(b"HTTP/1.1 408 ")
        assert raw(workers[0], plain(json.dumps(GOOD).encode(), b"Connection: close\r\n")).startswith(
            b"HTTP/1.1 200"
        )


def test_what_is_refused_behind_pending_requests_waits_its_turn(door: Server) -> None:
    body = json.dumps(GOOD).encode()
    too_large = b"POST /infer HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 50
    for wrong, status in ((too_large, b"413"), (b"nonsense\r\n\r\n", b"400")):
        answer = raw(door, plain(body) * 3 + wrong)
        statuses = [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]]
        assert statuses == [b"200"] * 3 + [status]
