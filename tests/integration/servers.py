"""Real servers on free ports, and a plain client that sends any bytes and sees those of the answers.

::

    with Servers(tmp_path) as servers:
        gateway, workers = servers.fleet(digits_path(), 2)
        answer = gateway.infer([0.0] * 64)
"""

from __future__ import annotations

import random
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import orjson

READY_LIMIT_S = 40.0
ANSWER_LIMIT_S = 20.0
END_LIMIT_S = 40.0
LIMIT_S = 30.0


class Answer(NamedTuple):
    """One HTTP answer; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes
    head: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - JSON
        """The body, read."""
        return orjson.loads(self.body)

    @property
    def error(self) -> str:
        """The sentence of an error, which is all its body holds."""
        assert set(self.json) == {"error"}
        assert self.headers["content-type"] == "application/json"
        return str(self.json["error"])


class Connection:
    """A keep-alive connection that sends what it is told, right or wrong."""

    def __init__(self, connected: socket.socket) -> None:
        """Take a connected socket over."""
        self.socket = connected
        self.socket.settimeout(ANSWER_LIMIT_S)
        self._data = b""

    def __enter__(self) -> Self:
        """Use as a context."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def answer(self) -> Answer:
        """Read the next answer; a "100 Continue" before it is passed over."""
        while b"\r\n\r\n" not in self._data:
            self._more()
        head, _, self._data = self._data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        status = int(lines[0].split()[1])
        if status == 100:
            return self.answer()
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
        }
        size = int(headers["content-length"])
        while len(self._data) < size:
            self._more()
        body, self._data = self._data[:size], self._data[size:]
        return Answer(status, headers, body, head)

    def ask(self, data: bytes) -> Answer:
        """Send a request and read its answer."""
        self.send(data)
        return self.answer()

    def rest(self) -> bytes:
        """Read until the server closes."""
        while part := self.socket.recv(1 << 16):
            self._data += part
        return self._data

    def is_closed_by_peer(self) -> bool:
        """Wait for the end of the connection; False if more bytes come instead."""
        try:
            return not self._data and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def _more(self) -> None:
        data = self.socket.recv(1 << 16)
        assert data, f"the server closed the connection after {self._data!r}"
        self._data += data


def request(body: bytes = b"", *headers: str, path: str = "/infer", method: str = "POST") -> bytes:
    """A request with a Content-Length: the plain case."""
    lines = [f"{method} {path} HTTP/1.1", "Host: x", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def chunked(body: bytes, *headers: str, size: int = 100) -> bytes:
    """The same request with its body in chunks of `size` bytes."""
    lines = ["POST /infer HTTP/1.1", "Host: x", *headers, "Transfer-Encoding: chunked", "", ""]
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    return "\r\n".join(lines).encode("latin-1") + chunks + b"0\r\n\r\n"


def infer_body(data: object, **fields: object) -> bytes:
    """The body of an inference."""
    return orjson.dumps({"input_data": data, **fields})


def free_port() -> int:
    """A port for a server that cannot be asked which one it took; no other connection is given such a one."""
    while True:
        port = random.randrange(20_000, 30_000)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port


def until(holds: Callable[[], bool], seen: Callable[[], object], limit_s: float = LIMIT_S) -> None:
    """Wait until something holds; fail with what was `seen` when it does not within the limit."""
    end = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < end, f"did not come to hold within {limit_s} s: {seen()!r}"
        time.sleep(0.01)


class Server:
    """One `ringserve` process; `up` counts as one, whose address is its gateway's.

    Attributes:
        tls: How a caller speaks TLS to it; None where it speaks plainly.
    """

    def __init__(self, command: Sequence[str], log: Path) -> None:
        """Start it, with what it writes to standard error in a file."""
        with log.open("wb") as errors:
            self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        self.host, self.port = "127.0.0.1", 0
        self.tls: ssl.SSLContext | None = None
        self._log = log
        role = "worker" if "worker" in command else "gateway"
        # The whole line: its end may be written after its beginning.
        self._ready = re.compile(rf"^ringserve {role} .*\bready on https?://([0-9.]+):(\d+)\n", re.MULTILINE)

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return f"{self.host}:{self.port}"

    def log(self) -> str:
        """What it wrote to standard error."""
        return self._log.read_text()

    def wait_ready(self) -> Self:
        """Wait for the ready line and note the address in it."""
        until(lambda: bool(self._ready.search(self.log())) or self.ended, self.log, READY_LIMIT_S)
        ready = self._ready.search(self.log())
        assert ready is not None, f"it ended: {self.log()!r}"
        self.host, self.port = ready[1], int(ready[2])
        return self

    @property
    def ended(self) -> bool:
        """Whether the process is gone."""
        return self.process.poll() is not None

    def connect(self) -> Connection:
        """A new connection."""
        connected = socket.create_connection((self.host, self.port), ANSWER_LIMIT_S)
        if self.tls is None:
            return Connection(connected)
        return Connection(self.tls.wrap_socket(connected, server_hostname=self.host))

    def ask(self, data: bytes) -> Answer:
        """One request on a connection of its own."""
        with self.connect() as connection:
            return connection.ask(data)

    def all_of(self, data: bytes) -> bytes:
        """Everything that comes back on a connection of its own, until the server closes it."""
        with self.connect() as connection:
            connection.send(data)
            return connection.rest()

    def infer(self, data: object, *headers: str) -> Answer:
        """One inference on a connection of its own."""
        return self.ask(request(infer_body(data), *headers))

    def get(self, path: str) -> Answer:
        """A page."""
        return self.ask(request(path=path, method="GET"))

    def send_signal(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def wait(self) -> int:
        """Wait for the end; returns the exit status."""
        return self.process.wait(END_LIMIT_S)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait; returns the exit status."""
        self.send_signal(number)
        return self.wait()


class Servers:
    """Starts servers and ends every one of them."""

    def __init__(self, folder: Path) -> None:
        """Keep logs in this folder."""
        self._folder = folder
        self._started: list[Server] = []

    def __enter__(self) -> Self:
        """Use as a context."""
        return self

    def __exit__(self, *_: object) -> None:
        """End what still runs; the children of a killed `up` end themselves."""
        for server in self._started:
            if not server.ended:
                server.process.kill()
            server.wait()

    def start(self, *arguments: str, prefix: Sequence[str] = ()) -> Server:
        """Start a command without waiting for it; `prefix` runs it, as `ip netns exec` does."""
        if arguments[0] in {"gateway", "up"} and "--grpc-port" not in arguments:
            arguments += ("--grpc-port", "0")  # its default is one port for all
        command = [*prefix, sys.executable, "-m", "ringserve", *arguments]
        self._started.append(Server(command, self._folder / f"{len(self._started)}.log"))
        return self._started[-1]

    def worker(self, model: Path, *flags: str, name: str = "worker_1") -> Server:
        """Start a worker and wait until it is ready."""
        return self.start("worker", "0", name, str(model), *flags).wait_ready()

    def gateway(self, workers: Sequence[Server], *flags: str, tls: ssl.SSLContext | None = None) -> Server:
        """Start a gateway and wait until it is ready, then until each worker is up."""
        addresses = [worker.address for worker in workers]
        gateway = self.start("gateway", "--port", "0", "--grpc-port", "0", *flags, *addresses).wait_ready()
        gateway.tls = tls
        until(lambda: bool(gateway.get("/health").json["workers_up"] == len(workers)), gateway.log)
        return gateway

    def fleet(self, model: Path, workers: int = 1, *flags: str) -> tuple[Server, list[Server]]:
        """Start workers with these flags, called worker_1 and so on, and a gateway of them."""
        names = [f"worker_{number}" for number in range(1, workers + 1)]
        nodes = [self.start("worker", "0", name, str(model), *flags) for name in names]
        for node in nodes:
            node.wait_ready()
        return self.gateway(nodes), nodes

    def up(self, *arguments: str, workers: int = 2) -> Server:
        """Start `up` on free ports without waiting for it."""
        return self.start("up", "--port", "0", "--base-port", "0", "--workers", str(workers), *arguments)
