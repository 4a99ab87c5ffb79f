import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from ringserve.errors import UsageError
from ringserve.fleet.ports import reachable, take_ports
from ringserve.settings import defaults_for

UP = replace(defaults_for("up"), port=0, base_port=0, grpc_port=0)


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_free_ports_are_chosen_where_none_is_asked_for() -> None:
    listening, ports = take_ports(replace(UP, workers=5))
    with listening:
        found = {listening.getsockname()[1], *ports}
    assert len(found) == 6
    assert 0 not in found


def test_the_gateways_port_is_taken_at_once_and_the_workers_are_left_to_them() -> None:
    listening, ports = take_ports(replace(UP, workers=1))
    with listening, pytest.raises(UsageError, match="already taken"):
        take_ports(replace(UP, port=listening.getsockname()[1]))
    socket.create_server(("127.0.0.1", ports[0])).close()


def test_a_socket_that_is_bound_and_does_not_listen_yet_is_found_too() -> None:
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", 0))
        listening, _ = take_ports(replace(UP, port=bound.getsockname()[1]))
        with listening, pytest.raises(OSError, match="in use"):
            bound.listen()


def test_a_taken_port_is_named_with_the_flag_that_mends_it(taken: int) -> None:
    with pytest.raises(UsageError, match=rf"^port {taken} on 127\.0\.0\.1 is already taken; .* --port$"):
        take_ports(replace(UP, port=taken))
    with pytest.raises(UsageError, match=rf"^port {taken} .* --base-port$"):
        take_ports(replace(UP, base_port=taken, workers=1))


def test_a_port_taken_on_one_address_is_taken_on_all(taken: int) -> None:
    with pytest.raises(UsageError, match="already taken"):
        take_ports(replace(UP, host="0.0.0.0", port=taken))


def test_a_port_wanted_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="port 8002 is wanted by the gateway and a worker"):
        take_ports(replace(UP, port=8002, base_port=8001))


def test_ports_past_the_last_one_are_refused() -> None:
    with pytest.raises(UsageError, match="--base-port 65535: 3 workers need ports up to 65537"):
        take_ports(replace(UP, base_port=65535))


def test_an_unknown_address_is_named_with_its_flag() -> None:
    with pytest.raises(UsageError, match=r"--host no\.such\.host\.invalid: no such address"):
        take_ports(replace(UP, host="no.such.host.invalid"))
    with pytest.raises(UsageError, match=r"--worker-host no\.such\.host\.invalid: no such address"):
        take_ports(replace(UP, worker_host="no.such.host.invalid"))


def test_an_address_of_another_machine_is_one_line() -> None:
    with pytest.raises(UsageError, match=r"port 8000 on 192\.0\.2\.1 cannot be used"):
        take_ports(replace(UP, host="192.0.2.1", port=8000))


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("127.0.0.1", "127.0.0.1:1"),
        ("0.0.0.0", "127.0.0.1:1"),
        ("::", "[::1]:1"),
        ("::1", "[::1]:1"),
        ("a", "a:1"),
    ],
)
def test_addresses_are_shown_as_somebody_here_reaches_them(host: str, shown: str) -> None:
    assert reachable(host, 1) == shown


def test_the_port_for_grpc_is_looked_at_before_anything_is_started(taken: int) -> None:
    with pytest.raises(UsageError, match=rf"^port {taken} .* --grpc-port$"):
        take_ports(replace(UP, grpc_port=taken))
    with pytest.raises(UsageError, match=r"^port 8001 is wanted for gRPC and for HTTP"):
        take_ports(replace(UP, base_port=8001, grpc_port=8001))
