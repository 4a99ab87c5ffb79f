"""The fleet's secret, which both ends of a link prove and nobody sends."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import orjson
import pytest

from ringserve.core.api_keys import line_of
from ringserve.models.digits import digits_path
from ringserve.wire.frames import HEADER, Kind, frame
from ringserve.wire.hello import encode_gateway_hello
from ringserve.wire.proof import NONCE_HEADER, PROOF_HEADER, Role, prove
from tests.integration.certificates import Authority
from tests.integration.servers import Connection, Server, Servers, until

SECRET = b"the secret of this very fleet"
NONCE = "0123456789abcdef" * 2
UPGRADE = ("Connection: Upgrade", "Upgrade: ringserve-link")
LIMIT_S = 20.0


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    with Servers(tmp_path) as servers:
        yield servers


def flags(folder: Path, secret: bytes = SECRET, name: str = "secret") -> list[str]:
    """The flags of a server with this secret, in a file of its own."""
    path = folder / name
    path.write_bytes(secret + b"\n")
    return ["--fleet-secret", str(path)]


class Stranger:
    """One end of a link, by hand."""

    def __init__(self, connection: Connection, *headers: str) -> None:
        """Ask for a link with these headers."""
        self.connection = connection
        connection.send(upgrade(*headers))
        head = b""
        while b"\r\n\r\n" not in head:
            part = connection.socket.recv(1)
            assert part, head
            head += part
        self.head = head.decode()
        self.nonce = self.header(NONCE_HEADER)

    def header(self, name: str) -> str:
        """One of the answer's headers; empty where it is not there."""
        found = re.search(rf"^{name}: (.*)\r$", self.head, re.MULTILINE | re.IGNORECASE)
        return found[1] if found else ""

    def hello(self, proof: str) -> bytes:
        """Greet with this proof; returns what comes back until the end, or until a frame is there."""
        self.connection.send(frame(Kind.HELLO, encode_gateway_hello("h:1", proof)))
        return self.read()

    def read(self) -> bytes:
        """The next frame's bytes, or what came before the end."""
        data = b""
        while len(data) < HEADER.size or len(data) < HEADER.size + HEADER.unpack_from(data)[0]:
            try:
                part = self.connection.socket.recv(1 << 16)
            except ConnectionResetError:
                break
            if not part:
                break
            data += part
        return data


def upgrade(*headers: str) -> bytes:
    return "\r\n".join(["GET / HTTP/1.1", "Host: x", *UPGRADE, *headers, "", ""]).encode()


def test_a_fleet_of_one_secret_serves_and_never_sends_it(servers: Servers, tmp_path: Path) -> None:
    worker = servers.worker(digits_path(), *flags(tmp_path))
    with recorded(worker) as (port, record):
        gateway = servers.start("gateway", "--port", "0", *flags(tmp_path), f"127.0.0.1:{port}").wait_ready()
        assert gateway.infer([1.0] * 64).json["node_id"] == "worker_1"
        assert gateway.stop() == 0
    assert worker.stop() == 0
    assert NONCE_HEADER.encode() in record
    assert SECRET not in record
    assert SECRET.hex().encode() not in record
    assert SECRET.decode() not in worker.log() + gateway.log()


@contextmanager
def recorded(worker: Server) -> Iterator[tuple[int, bytearray]]:
    """A wire between a gateway and this worker that notes what goes over it."""
    record = bytearray()
    ends: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def carry(source: socket.socket, target: socket.socket) -> None:
            while part := source.recv(1 << 16):
                record.extend(part)
                target.sendall(part)
            target.shutdown(socket.SHUT_WR)

        def serve() -> None:
            near, _ = listening.accept()
            far = socket.create_connection((worker.host, worker.port))
            ends.extend((near, far))
            back = threading.Thread(target=carry, args=(far, near))
            back.start()
            carry(near, far)
            back.join(LIMIT_S)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1], record
        thread.join(LIMIT_S)
    for end in ends:
        end.close()


def test_a_gateway_without_the_secret_or_with_another_is_told_and_gets_no_link(
    servers: Servers, tmp_path: Path
) -> None:
    worker = servers.worker(digits_path(), *flags(tmp_path))
    without = servers.start("gateway", "--port", "0", worker.address)
    other = servers.start(
        "gateway", "--port", "0", *flags(tmp_path, b"another secret!!!", "o"), worker.address
    )
    told = {without: "it asks for the fleet's secret", other: "it has another --fleet-secret"}
    for gateway, words in told.items():
        until(lambda gateway=gateway: "still trying" in gateway.log(), gateway.log)  # type: ignore[misc]
        assert gateway.log().count(f"no link to the worker at {worker.address}: {words}") == 1
    assert "ready" not in without.log() + other.log()


def test_a_worker_without_the_secret_gets_no_requests(servers: Servers, tmp_path: Path) -> None:
    """Whoever took its address could otherwise read what callers send, and answer as it likes."""
    worker = servers.worker(digits_path())
    gateway = servers.start("gateway", "--port", "0", *flags(tmp_path), worker.address)
    until(lambda: "it has no --fleet-secret, and this gateway has one" in gateway.log(), gateway.log)
    assert worker.get("/health").json["total_requests"] == 0


@pytest.mark.parametrize("headers", [(), (f"{NONCE_HEADER}: short",), (f"{NONCE_HEADER}: {'G' * 32}",)])
def test_a_link_without_a_nonce_is_forbidden(
    servers: Servers, tmp_path: Path, headers: tuple[str, ...]
) -> None:
    worker = servers.worker(digits_path(), *flags(tmp_path))
    answer = worker.ask(upgrade(*headers))
    assert answer.status == 403
    assert "--fleet-secret" in answer.error
    assert worker.infer([1.0] * 64).status == 200


def test_a_stranger_is_not_greeted_whatever_it_says(servers: Servers, tmp_path: Path) -> None:
    """Wrong proofs, the worker's own proof sent back, and a recorded handshake: each is closed upon."""
    worker = servers.worker(digits_path(), *flags(tmp_path))
    with worker.connect() as connection:
        good = Stranger(connection, f"{NONCE_HEADER}: {NONCE}")
        assert good.header(PROOF_HEADER) == prove(SECRET, Role.WORKER, NONCE, good.nonce)
        proof = prove(SECRET, Role.GATEWAY, NONCE, good.nonce)
        greeting = good.hello(proof)
        assert orjson.loads(greeting[HEADER.size :])["node_id"] == "worker_1"
    for wrong in ("", "0" * 64, proof, "worker's own"):  # `proof`: the handshake from before, replayed
        with worker.connect() as connection:
            stranger = Stranger(connection, f"{NONCE_HEADER}: {NONCE}")
            assert stranger.nonce != good.nonce
            said = stranger.header(PROOF_HEADER) if wrong == "worker's own" else wrong
            assert stranger.hello(said) == b""
    with worker.connect() as connection:
        stranger = Stranger(connection, f"{NONCE_HEADER}: {NONCE}")
        connection.send(frame(Kind.PING))
        assert stranger.read() == b""
    until(lambda: "links refused without the fleet's secret" in worker.log(), worker.log)
    assert worker.log().count("links refused") == 1  # one line a minute, however many they are
    assert worker.get("/health").json["total_requests"] == 0


def test_a_gateway_that_proves_nothing_is_closed_upon_and_holds_up_no_drain(
    servers: Servers, tmp_path: Path
) -> None:
    worker = servers.worker(digits_path(), *flags(tmp_path))
    with worker.connect() as connection:
        stranger = Stranger(connection, f"{NONCE_HEADER}: {NONCE}")
        assert stranger.read() == b""
    assert "it took too long" in worker.log()
    with worker.connect() as connection:
        Stranger(connection, f"{NONCE_HEADER}: {NONCE}")
        assert worker.stop() == 0


def test_api_keys_alone_open_no_link_around_them(servers: Servers, tmp_path: Path) -> None:
    keys = tmp_path / "keys.txt"
    keys.write_text("shop sha256:" + "ab" * 32)
    worker = servers.worker(digits_path(), "--api-keys", str(keys))
    answer = worker.ask(upgrade())
    assert answer.status == 403
    assert "--fleet-secret" in answer.error
    gateway = servers.start("gateway", "--port", "0", *flags(tmp_path), worker.address)
    until(lambda: "it asks for API keys and has no --fleet-secret" in gateway.log(), gateway.log)


def test_a_secret_is_replaced_without_dropping_a_link(servers: Servers, tmp_path: Path) -> None:
    worker = servers.worker(digits_path(), *flags(tmp_path))
    gateway = servers.gateway([worker], *flags(tmp_path, name="gateway's"))
    flags(tmp_path, b"the secret of tomorrow")
    until(lambda: "secret was read again" in worker.log(), worker.log)
    assert gateway.infer([1.0] * 64).status == 200
    late = servers.start("gateway", "--port", "0", *flags(tmp_path, name="late"), worker.address)
    until(lambda: "another --fleet-secret" in late.log(), late.log)
    flags(tmp_path, b"the secret of tomorrow", "late")
    late.wait_ready()
    flags(tmp_path, b"short")
    until(lambda: "the fleet's secret stays as it was" in worker.log(), worker.log)
    assert late.infer([1.0] * 64).status == 200


@pytest.mark.parametrize(("content", "says"), [(None, "cannot read"), (b"short", "at least 16 bytes")])
def test_a_file_that_holds_no_secret_ends_the_start_with_one_line(
    servers: Servers, tmp_path: Path, content: bytes | None, says: str
) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    for command in (["worker", "0", "w", str(digits_path())], ["gateway", "h:1", "--port", "0"], ["up"]):
        server = servers.start(*command, "--fleet-secret", str(path))
        assert server.wait() == 2
        assert says in server.log()
        assert server.log().count("\n") == 1


def test_up_that_asks_nobody_leaves_its_workers_to_other_gateways_too(servers: Servers) -> None:
    up = servers.up(workers=1).wait_ready()
    found = re.search(r"worker worker_1 ready on http://127.0.0.1:(\d+)", up.log())
    assert found is not None
    other = servers.start("gateway", "--port", "0", f"127.0.0.1:{found[1]}").wait_ready()
    assert other.infer([1.0] * 64).status == 200


def test_up_that_asks_for_keys_makes_a_secret_for_its_own_that_no_command_line_shows(
    servers: Servers, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"somebody sha256:{sha256(b'key').hexdigest()}\n")
    up = servers.up("--api-keys", str(keys), workers=1).wait_ready()
    until(lambda: bool(up.get("/health").json["workers_up"] == 1), up.log)
    assert up.infer([1.0] * 64, "X-API-Key: key").status == 200
    found = re.search(r"worker worker_1 ready on http://127.0.0.1:(\d+)", up.log())
    assert found is not None
    with Connection(socket.create_connection(("127.0.0.1", int(found[1])), LIMIT_S)) as connection:
        assert connection.ask(upgrade()).status == 403
    children = Path(f"/proc/{up.process.pid}/task/{up.process.pid}/children").read_text().split()
    secrets = {variable_of(child, "RINGSERVE_SECRET_FROM_UP") for child in children}
    assert len(children) == 2
    assert len(secrets) == 1
    for child in children:
        assert secrets.isdisjoint(Path(f"/proc/{child}/cmdline").read_text().split("\0"))
    assert up.stop() == 0


def variable_of(pid: str, name: str) -> str:
    """A variable of a process, which its own user alone can read."""
    variables = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return dict(line.partition("=")[::2] for line in variables)[name]


def test_a_fleet_with_every_door_shut_serves_who_has_all_the_keys(servers: Servers, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    (tmp_path / "keys.txt").write_text(line_of("shop", "key-of-the-shop"))
    shut = [*flags(tmp_path), "--api-keys", str(tmp_path / "keys.txt"), "--cache-scope", "key"]
    worker = servers.worker(digits_path(), *shut, *authority.flags("w"))
    caller = authority.client(authority.issue("caller"))
    gateway = servers.gateway([worker], *shut, *authority.flags("gw"), tls=caller)
    worker.tls = caller
    key = "X-API-Key: key-of-the-shop"
    for server, cached in ((gateway, False), (gateway, True), (worker, True)):
        assert server.infer([1.0] * 64).status == 401
        assert server.infer([1.0] * 64, key).json["cached"] is cached
    assert [server.stop() for server in (gateway, worker)] == [0, 0]
