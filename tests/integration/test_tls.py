"""TLS at the listener and on the link, with an authority made for the test."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ringserve.core.api_keys import line_of
from ringserve.models.digits import digits_path
from tests.integration.certificates import Authority
from tests.integration.servers import Server, Servers, chunked, infer_body, request, until

LIMIT_S = 40.0
BODY = infer_body([1.0] * 64, request_id="r")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    with Servers(tmp_path) as servers:
        yield servers


def is_refused(server: Server, context: ssl.SSLContext) -> bool:
    """Whether no answer comes back; with TLS 1.3 a caller learns it when it first reads."""
    server.tls = context
    try:
        return server.all_of(request(b"", "Connection: close", path="/health", method="GET")) == b""
    except (ssl.SSLError, ConnectionResetError):
        return True


def test_a_listener_speaks_tls_by_both_ways_and_says_so(servers: Servers, authority: Authority) -> None:
    worker = servers.worker(digits_path(), *authority.flags("w", ca=False))
    assert f"ready on https://127.0.0.1:{worker.port}\n" in worker.log()
    worker.tls = authority.client()
    with worker.connect() as connection:
        fast, slow = connection.ask(request(BODY)), connection.ask(chunked(BODY))
        assert isinstance(connection.socket, ssl.SSLSocket)
        assert connection.socket.version() in {"TLSv1.2", "TLSv1.3"}
    assert fast.status == slow.status == 200
    assert re.sub(rb"\d", b"", fast.head) == re.sub(rb"\d", b"", slow.head)
    too_large = b"POST /infer HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 100_000
    assert worker.all_of(too_large).startswith(b"HTTP/1.1 413 ")
    assert worker.stop() == 0


def test_old_versions_of_tls_and_plain_http_are_refused(servers: Servers, authority: Authority) -> None:
    worker = servers.worker(digits_path(), *authority.flags("w", ca=False))
    assert b"HTTP" not in worker.all_of(request(BODY))
    old = authority.client()
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    assert is_refused(worker, old)
    worker.tls = authority.client()
    assert worker.get("/health").status == 200


def test_a_link_over_mutual_tls_serves_and_strangers_do_not_come_in(
    servers: Servers, authority: Authority, tmp_path: Path
) -> None:
    """The gateway asks its own callers for no certificate, as a public one."""
    worker = servers.worker(digits_path(), *authority.flags("w"))
    ours = authority.issue("gw")
    worker.tls = authority.client(ours)
    gateway = servers.gateway(
        [worker], *authority.flags("gw"), "--tls-clients", "off", tls=authority.client()
    )
    assert gateway.infer([1.0] * 64).json["node_id"] == "worker_1"
    assert is_refused(worker, authority.client())
    other = Authority(tmp_path, "other")
    assert is_refused(worker, authority.client(other.issue("stranger")))
    worker.tls = authority.client(ours)
    assert worker.get("/health").status == 200
    assert [server.stop() for server in (gateway, worker)] == [0, 0]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ("other", "certificate is not accepted"),
        ("host", "certificate is not accepted"),
        ("no certificate", "perhaps it asks for a certificate"),
        ("plain", "perhaps it speaks TLS"),
    ],
)
def test_a_gateway_says_once_why_it_has_no_link(
    servers: Servers, authority: Authority, tmp_path: Path, flags: str, says: str
) -> None:
    hosts = ("elsewhere.test",) if flags == "host" else ()
    worker = servers.worker(digits_path(), *authority.flags("w", *hosts))
    trusted = Authority(tmp_path, "other") if flags == "other" else authority
    own = [] if flags == "plain" else ["--tls-ca", str(trusted.path)]
    if flags in {"other", "host"}:
        own = authority.flags("gw", ca=False) + own
    gateway = servers.start("gateway", "--port", "0", *own, worker.address)
    until(lambda: says in gateway.log(), gateway.log)
    until(lambda: "still trying" in gateway.log(), gateway.log)
    assert gateway.log().count(f"no link to the worker at {worker.address}") == 1


def test_a_gateway_with_tls_tells_of_a_worker_without(servers: Servers, authority: Authority) -> None:
    worker = servers.worker(digits_path())
    gateway = servers.start("gateway", "--port", "0", "--tls-ca", str(authority.path), worker.address)
    until(lambda: "it does not speak TLS" in gateway.log(), gateway.log)


def test_new_certificates_are_used_without_dropping_a_connection(
    servers: Servers, authority: Authority, tmp_path: Path
) -> None:
    worker = servers.worker(digits_path(), *authority.flags("w"))
    ours = authority.issue("caller")
    worker.tls = authority.client(ours)
    with worker.connect() as old:
        assert old.ask(request(BODY)).status == 200
        other = Authority(tmp_path, "other")
        theirs = other.issue("stranger")
        (tmp_path / "w.crt").write_text("half a file")
        until(lambda: "the certificates stay as they were" in worker.log(), worker.log)
        with worker.connect() as still:
            assert still.ask(request(BODY)).status == 200
        for made, used in zip(other.issue("new"), ("w.crt", "w.key"), strict=True):
            made.replace(tmp_path / used)
        other.path.replace(authority.path)
        until(lambda: not is_refused(worker, client(authority.path, theirs)), worker.log)
        assert is_refused(worker, client(authority.path, ours))
        assert old.ask(request(BODY)).status == 200
    assert "the certificates were read again" in worker.log()


def client(ca: Path, shown: tuple[Path, Path]) -> ssl.SSLContext:
    """A caller who trusts what lies in this file now."""
    context = ssl.create_default_context(cafile=str(ca))
    context.load_cert_chain(*shown)
    return context


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--tls-cert", "{w.crt}"], "--tls-cert is given without --tls-key"),
        (["--tls-cert", "missing", "--tls-key", "{w.key}"], "--tls-cert: cannot read missing: No such file"),
        (["--tls-cert", "{w.key}", "--tls-key", "{w.key}"], "w.key holds no certificate in PEM form"),
        (["--tls-cert", "{w.crt}", "--tls-key", "{w.crt}"], "w.crt holds no private key in PEM form"),
        (["--tls-cert", "{w.crt}", "--tls-key", "{o.key}"], "is not the key of the certificate in"),
        (["--tls-cert", "{w.crt}", "--tls-key", "{encrypted.key}"], "the key is encrypted"),
        (["--tls-ca", "{ca.pem}"], "give a worker --tls-cert and --tls-key too"),
        (["--tls-cert", "{w.crt}", "--tls-key", "{w.key}", "--tls-clients", "required"], "give --tls-ca"),
    ],
)
def test_files_that_do_not_fit_end_the_start_with_one_line(
    servers: Servers, authority: Authority, tmp_path: Path, flags: list[str], says: str
) -> None:
    authority.issue("w")
    authority.issue("o")
    write_encrypted_key(tmp_path / "encrypted.key")
    words = [re.sub(r"{(.*)}", lambda found: str(tmp_path / found[1]), flag) for flag in flags]
    server = servers.start("worker", "0", "w", str(digits_path()), *words)
    assert server.wait() == 2
    assert says in server.log()
    assert server.log().count("\n") == 1


def write_encrypted_key(path: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    hidden = serialization.BestAvailableEncryption(b"password")
    kind = serialization.PrivateFormat.PKCS8
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, kind, hidden))


def test_up_gives_its_certificate_to_the_gateway_and_leaves_links_on_loopback_plain(
    servers: Servers, authority: Authority
) -> None:
    up = servers.up(*authority.flags("gw"), workers=1).wait_ready()
    up.tls = authority.client(authority.issue("caller"))
    until(lambda: bool(up.get("/health").json["workers_up"] == 1), up.log)
    assert up.infer([1.0] * 64).status == 200
    assert re.search(r"worker_1 ready on http://.*gateway ready on https://", up.log(), re.DOTALL)
    assert is_refused(up, authority.client())
    assert up.stop() == 0


def test_up_with_links_over_tls_serves(servers: Servers, authority: Authority) -> None:
    up = servers.up(
        *authority.flags("gw"), "--link-tls", "on", "--tls-clients", "off", workers=1
    ).wait_ready()
    assert "ringserve worker worker_1 ready on https://" in up.log()
    up.tls = authority.client()
    until(lambda: bool(up.get("/health").json["workers_up"] == 1), up.log)
    assert up.infer([1.0] * 64).status == 200
    assert up.stop() == 0


def test_bench_speaks_tls_and_shows_the_key_of_its_environment(
    servers: Servers, authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "keys.txt").write_text(line_of("bench", "the-key"))
    guarded = [*authority.flags("w", ca=False), "--api-keys", str(tmp_path / "keys.txt")]
    url = f"https://{servers.worker(digits_path(), *guarded).address}"
    command = [
        sys.executable,
        "-m",
        "ringserve",
        "bench",
        "--gateway",
        url,
        "--workers",
        url,
        "--requests",
        "20",
    ]
    own = {"SSL_CERT_FILE": str(authority.path), "RINGSERVE_API_KEY": "the-key"}
    for environment, status in ((own, 0), (own | {"RINGSERVE_API_KEY": "another"}, 1), ({}, 2)):
        ran = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | environment,
            timeout=LIMIT_S,
        )
        assert ran.returncode == status, ran.stdout + ran.stderr
        assert "the-key" not in ran.stdout + ran.stderr


def test_a_drain_over_tls_answers_what_comes_on_open_connections(
    servers: Servers, authority: Authority
) -> None:
    worker = servers.worker(digits_path(), *authority.flags("w", ca=False))
    worker.tls = authority.client()
    with worker.connect() as used, worker.connect() as idle:
        assert used.ask(request(BODY)).status == 200
        worker.send_signal(signal.SIGTERM)
        until(lambda: is_closed(worker), worker.log)
        last = used.ask(request(BODY))
        assert (last.status, last.headers["connection"]) == (200, "close")
        assert used.is_closed_by_peer()
        assert idle.is_closed_by_peer()
    assert worker.wait() == 0


def is_closed(server: Server) -> bool:
    """Whether nothing listens any more."""
    try:
        socket.create_connection((server.host, server.port), LIMIT_S).close()
    except ConnectionRefusedError:
        return True
    return False


def test_who_stalls_in_the_handshake_is_closed_upon_and_hurts_nobody(
    servers: Servers, authority: Authority
) -> None:
    worker = servers.worker(digits_path(), *authority.flags("w", ca=False), "--header-timeout-s", "1")
    worker.tls = authority.client()
    with socket.create_connection((worker.host, worker.port), LIMIT_S) as stalls:
        stalls.sendall(b"\x16\x03\x01")
        assert worker.get("/health").status == 200
        assert stalls.recv(1) == b""
    assert worker.get("/health").status == 200
