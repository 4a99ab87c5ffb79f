"""A gateway and a worker on different hosts, and the cable between them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from ringserve.models.digits import digits_path, held_out
from tests.integration.network import Cable, NoNamespacesError
from tests.integration.servers import Answer, Connection, Server, Servers, infer_body, request, until

NUMBERS = count()
HEALTH = request(path="/health", method="GET")
SOON = ("--circuit-timeout-s", "1")


@pytest.fixture
def cable() -> Iterator[Cable]:
    try:
        joined = Cable().__enter__()
    except NoNamespacesError as error:
        pytest.skip(f"two hosts need network namespaces (Linux, as root): {error}")
    try:
        yield joined
    finally:
        joined.__exit__()


@pytest.fixture
def servers(tmp_path: Path, cable: Cable) -> Iterator[Servers]:
    with Servers(tmp_path) as started:
        yield started


def far_worker(servers: Servers, cable: Cable) -> Server:
    arguments = ("worker", "0", "far", str(digits_path()), "--host", cable.far.address)
    return servers.start(*arguments, prefix=cable.far.prefix).wait_ready()


def near_worker(servers: Servers, cable: Cable, *flags: str) -> Server:
    arguments = ("worker", "0", "near", str(digits_path()), *flags)
    return servers.start(*arguments, prefix=cable.near.prefix).wait_ready()


def near_gateway(servers: Servers, cable: Cable, *workers: Server) -> Server:
    addresses = [worker.address for worker in workers]
    gateway = servers.start("gateway", "--port", "0", *SOON, *addresses, prefix=cable.near.prefix)
    gateway.wait_ready()
    with cable.near.connect(gateway) as connection:
        until(lambda: workers_up(connection) == len(workers), gateway.log)
    return gateway


def ask(connection: Connection) -> Answer:
    """An input never asked before, so that nothing is remembered."""
    return connection.ask(request(infer_body([float(next(NUMBERS))] + [1.0] * 63)))


def workers_up(connection: Connection) -> int:
    return int(connection.ask(HEALTH).json["workers_up"])


def asked_until(connection: Connection, workers: int, gateway: Server) -> list[Answer]:
    """Ask one request after another until the gateway sees so many workers."""
    answers = [ask(connection)]

    def seen() -> bool:
        answers.append(ask(connection))
        return workers_up(connection) == workers

    until(seen, gateway.log)
    return answers


def test_digits_are_answered_right_from_another_host(servers: Servers, cable: Cable) -> None:
    worker = far_worker(servers, cable)
    assert worker.host == cable.far.address
    gateway = near_gateway(servers, cable, worker)
    images = held_out()[0][:100]
    session = onnxruntime.InferenceSession(digits_path(), providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {session.get_inputs()[0].name: images})
    with cable.near.connect(gateway) as connection, cable.near.connect(worker) as direct:
        answers = [connection.ask(request(infer_body(image.tolist()))) for image in images]
        assert direct.ask(request(infer_body(images[0].tolist()))).json["cached"] is True
    assert {(answer.status, answer.json["node_id"]) for answer in answers} == {(200, "far")}
    np.testing.assert_allclose(
        [answer.json["output_data"] for answer in answers], expected, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("end", ["near", "far"])
def test_with_another_worker_nobody_notices_that_the_cable_is_cut(
    servers: Servers, cable: Cable, end: str
) -> None:
    gateway = near_gateway(servers, cable, near_worker(servers, cable), far_worker(servers, cable))
    with cable.near.connect(gateway) as connection:
        assert {ask(connection).json["node_id"] for _ in range(50)} == {"near", "far"}
        cable.cut(getattr(cable, end))
        answers = asked_until(connection, 1, gateway)
        assert [answer.body for answer in answers if answer.status != 200] == []
        assert ask(connection).json["node_id"] == "near"
        cable.join()
        until(lambda: ask(connection).json["node_id"] == "far", gateway.log)


@pytest.mark.parametrize("end", ["near", "far"])
def test_without_another_worker_it_is_503_until_the_cable_is_back(
    servers: Servers, cable: Cable, end: str
) -> None:
    gateway = near_gateway(servers, cable, far_worker(servers, cable))
    with cable.near.connect(gateway) as connection:
        assert ask(connection).status == 200
        cable.cut(getattr(cable, end))
        stranded = ask(connection)  # in flight when nothing comes back any more
        until(lambda: workers_up(connection) == 0, gateway.log)
        later = ask(connection)
        for answer in (stranded, later):
            assert answer.status == 503
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.error
        cable.join()
        until(lambda: ask(connection).status == 200, gateway.log)
        answers = [ask(connection) for _ in range(20)]
    assert {(answer.status, answer.json["node_id"]) for answer in answers} == {(200, "far")}


def test_a_server_that_others_reach_says_loudly_what_it_leaves_open(
    servers: Servers, cable: Cable, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("0123456789abcdef")
    worker = near_worker(servers, cable, "--host", "0.0.0.0")
    shut = near_worker(servers, cable, "--host", "0.0.0.0", "--fleet-secret", str(secret))
    arguments = ("gateway", "h:1", "--port", "0", "--host", cable.near.address)
    gateway = servers.start(*arguments, prefix=cable.near.prefix)
    until(lambda: "still trying" in gateway.log(), gateway.log)
    quiet = near_worker(servers, cable)
    said = [
        [flag for flag in ("--tls-cert", "--api-keys", "--fleet-secret") if flag in server.log()]
        for server in (worker, shut, gateway, quiet)
    ]
    keys_and_tls = ["--tls-cert", "--api-keys"]
    assert said == [[*keys_and_tls, "--fleet-secret"], keys_and_tls, keys_and_tls, []]
    assert [server.log().count("WARNING") for server in (worker, shut, gateway, quiet)] == [1, 1, 1, 0]
