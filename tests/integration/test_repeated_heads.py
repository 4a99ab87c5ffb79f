"""A client that repeats its head gets the same answers as one that never does, fast path and all."""

from collections.abc import Iterator

import pytest

from ringserve.models.digits import digits_path
from tests.integration.servers import Connection, Server, Servers, infer_body, request

BODY = infer_body([1.0] * 64)


@pytest.fixture(scope="module", params=["worker", "gateway"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Servers(tmp_path_factory.mktemp("servers")) as servers:
        worker = servers.worker(digits_path())
        yield worker if request.param == "worker" else servers.gateway([worker])


@pytest.fixture
def connection(server: Server) -> Iterator[Connection]:
    with server.connect() as connection:
        yield connection


def outputs(connection: Connection, count: int) -> list[object]:
    answers = [connection.answer() for _ in range(count)]
    return [answer.json.get("output_data") or answer.status for answer in answers]


def test_the_second_request_with_a_head_is_answered_like_the_first(connection: Connection) -> None:
    first, second, third = (connection.ask(request(BODY)) for _ in range(3))
    assert first.status == second.status == third.status == 200
    assert first.json["output_data"] == second.json["output_data"] == third.json["output_data"]
    assert (second.json["cached"], third.json["cached"]) == (True, True)


def test_a_known_head_with_a_bad_body_is_refused_and_the_next_is_served(connection: Connection) -> None:
    connection.ask(request(BODY))
    connection.send(request(b"x" * len(BODY)) + request(BODY))
    assert outputs(connection, 2)[0] == 400


def test_known_and_unknown_heads_may_be_mixed_in_one_pipeline(connection: Connection) -> None:
    expected = connection.ask(request(BODY)).json["output_data"]
    known, other = request(BODY), request(BODY, "X-Other: 1")
    page = request(path="/health", method="GET")
    connection.send(known + other + known + page + known)
    answers = [connection.answer() for _ in range(5)]
    assert [answer.json.get("output_data") for answer in answers] == [expected] * 3 + [None, expected]
    assert answers[3].json["healthy"] is True


@pytest.mark.parametrize("at", [10, len(request(BODY)) - len(BODY) - 2, len(request(BODY)) - 5])
def test_a_known_head_may_come_in_pieces(connection: Connection, at: int) -> None:
    data = request(BODY)
    expected = connection.ask(data).json["output_data"]
    connection.send(data + data[:at])
    assert connection.answer().json["output_data"] == expected
    connection.send(data[at:] + data)
    assert outputs(connection, 2) == [expected, expected]


def test_a_timeout_of_a_known_head_counts_each_time(connection: Connection) -> None:
    for _ in range(3):
        assert connection.ask(request(BODY, "X-Request-Timeout-Ms: nonsense")).status == 400
    for _ in range(3):
        assert connection.ask(request(BODY, "X-Request-Timeout-Ms: 5000")).status == 200


def test_a_known_head_that_closes_closes_each_time(server: Server) -> None:
    for _ in range(3):
        with server.connect() as connection:
            assert connection.ask(request(BODY, "Connection: close")).status == 200
            assert connection.is_closed_by_peer()
