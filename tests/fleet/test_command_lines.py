import socket
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringserve.console.resolve import resolve
from ringserve.errors import UsageError
from ringserve.fleet.command_lines import child_environment, gateway_command, worker_command
from ringserve.settings import Settings, defaults_for

UP = defaults_for("up")
MODEL = Path("m.onnx")


def flags(command: list[str], positional: int) -> dict[str, str | None]:
    """Read a command line the way a child does."""
    words = command[4 + positional :]
    return {words[at].removeprefix("--").replace("-", "_"): words[at + 1] for at in range(0, len(words), 2)}


def test_defaults_are_left_out() -> None:
    assert worker_command(UP, 8001, "worker_1", MODEL)[2:] == [
        *["ringserve", "worker", "8001", "worker_1", "m.onnx", "--workers-here", "3"]
    ]


def test_a_gateway_is_told_its_port_and_the_socket_it_inherits() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port, number = listening.getsockname()[1], listening.fileno()
        line = gateway_command(UP, ["a:1", "b:2"], listening, grpc=True)
    told = ["--port", str(port), "--listen-fd", str(number)]
    assert line[2:] == ["ringserve", "gateway", "a:1", "b:2", *told]


@given(
    max_batch=st.integers(1, 100),
    max_wait_ms=st.just("auto") | st.floats(0, 1e6),
    drain_timeout_s=st.floats(0, 100),
    host=st.sampled_from(["127.0.0.1", "0.0.0.0", "::1"]),
    max_body_mb=st.floats(0.001, 100),
    workers=st.integers(1, 9),
)
def test_a_child_reads_back_the_settings_it_was_given(**changed: float | str) -> None:
    up = replace(UP, **changed)  # type: ignore[arg-type]
    line = worker_command(up, 8001, "worker_1", MODEL)
    worker = resolve("worker", flags(line, 3), {}).settings
    shared = {"max_batch": up.max_batch, "max_wait_ms": up.max_wait_ms, "drain_timeout_s": up.drain_timeout_s}
    assert worker == Settings(**shared, host=up.worker_host, workers_here=up.workers)  # type: ignore[arg-type]
    with socket.create_server(("127.0.0.1", 0)) as listening:
        line = gateway_command(up, ["a:1"], listening, grpc=True)
        gateway = resolve("gateway", flags(line, 1), {}).settings
        port = listening.getsockname()[1]
    own = {
        "host": up.host,
        "max_body_mb": up.max_body_mb,
        "drain_timeout_s": up.drain_timeout_s,
        "port": port,
    }
    assert gateway == replace(defaults_for("gateway"), **own)


def test_a_child_inherits_none_of_our_variables() -> None:
    before = {"PATH": "/bin", "RINGSERVE_PORT": "1", "RINGSERVE_CONFIG": "f", "MY_RINGSERVE_X": "kept"}
    assert child_environment(before) == {"PATH": "/bin", "MY_RINGSERVE_X": "kept"}


WITH_TLS = replace(UP, tls_cert="c", tls_key="k", tls_ca="a")
FILE = "of the secret"


def doors(up: Settings) -> tuple[Settings, Settings]:
    """What a worker and a gateway of this `up` read back."""
    worker = resolve("worker", flags(worker_command(up, 8001, "worker_1", MODEL), 3), {}).settings
    with socket.create_server(("127.0.0.1", 0)) as listening:
        line = gateway_command(up, ["a:1"], listening, grpc=True)
    return worker, resolve("gateway", flags(line, 1), {}).settings


def test_certificates_and_keys_are_the_gateways_alone_while_workers_are_on_loopback() -> None:
    up = replace(WITH_TLS, api_keys="keys", cache_scope="key", fleet_secret=FILE)
    worker, gateway = doors(up)
    assert (worker.tls_cert, worker.tls_key, worker.tls_ca, worker.api_keys) == ("", "", "", "")
    assert worker.fleet_secret == gateway.fleet_secret == FILE
    assert (gateway.tls_cert, gateway.tls_ca, gateway.api_keys) == ("c", "a", "keys")
    assert (gateway.link_tls, gateway.cache_scope) == ("off", "key")


def test_workers_that_others_reach_are_guarded_like_the_gateway_and_never_less() -> None:
    """A public gateway asks its callers for no certificate; its workers still do."""
    up = replace(WITH_TLS, api_keys="keys", tls_clients="off", worker_host="10.0.0.5")
    worker, gateway = doors(up)
    assert (worker.tls_cert, worker.tls_key, worker.tls_ca, worker.api_keys) == ("c", "k", "a", "keys")
    assert (worker.tls_clients, gateway.tls_clients, gateway.link_tls) == ("auto", "off", "on")


def test_links_on_loopback_are_tls_where_that_is_asked_for() -> None:
    worker, gateway = doors(replace(WITH_TLS, link_tls="on"))
    assert (worker.tls_cert, gateway.link_tls) == ("c", "on")
    with pytest.raises(UsageError, match="--link-tls on: the workers need a certificate"):
        doors(replace(UP, link_tls="on"))


def test_the_secret_that_up_made_is_the_one_variable_of_ours_that_a_child_inherits() -> None:
    assert child_environment({"RINGSERVE_PORT": "1"}, "s") == {"RINGSERVE_SECRET_FROM_UP": "s"}


def test_only_the_gateway_that_serves_grpc_is_given_its_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        for grpc, port in ((True, 9000), (False, 0)):
            line = gateway_command(UP, ["a:1"], listening, grpc=grpc)
            assert resolve("gateway", flags(line, 1), {}).settings.grpc_port == port
