"""Real workers and gateways on free ports, and a plain client that sees the bytes of their answers.

::

    with Servers(tmp_path) as servers:
        worker = servers.worker(digits_path())
        gateway = servers.gateway([worker])
        answer = gateway.infer([0.0] * 64)
"""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import orjson

READY_LIMIT_S = 40.0
ANSWER_LIMIT_S = 20.0
END_LIMIT_S = 10.0


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


class Connection:
    """A keep-alive connection that sends what it is told, right or wrong."""

    def __init__(self, port: int) -> None:
        """Connect."""
        self._socket = socket.create_connection(("127.0.0.1", port), ANSWER_LIMIT_S)
        self._data = b""

    def __enter__(self) -> Self:
        """Use as a context."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._socket.sendall(data)

    def answer(self) -> Answer:
        """Read the next answer."""
        while b"\r\n\r\n" not in self._data:
            self._more()
        head, _, rest = self._data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
        }
        self._data = rest
        size = int(headers["content-length"])
        while len(self._data) < size:
            self._more()
        body, self._data = self._data[:size], self._data[size:]
        return Answer(int(lines[0].split()[1]), headers, body, head)

    def ask(self, data: bytes) -> Answer:
        """Send a request and read its answer."""
        self.send(data)
        return self.answer()

    def is_closed_by_peer(self) -> bool:
        """Wait for the end of the connection; False if more bytes come instead."""
        try:
            return not self._data and self._socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def _more(self) -> None:
        data = self._socket.recv(1 << 16)
        assert data, f"the server closed the connection after {self._data!r}"
        self._data += data


def request(body: bytes, *headers: str, path: str = "/infer", method: str = "POST") -> bytes:
    """A request with a Content-Length: the plain case."""
    lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def chunked(body: bytes, *headers: str, size: int = 100) -> bytes:
    """The same request with its body in chunks of `size` bytes."""
    lines = ["POST /infer HTTP/1.1", "Host: x", "Transfer-Encoding: chunked", *headers, "", ""]
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    return "\r\n".join(lines).encode("latin-1") + chunks + b"0\r\n\r\n"


def infer_body(data: object, **fields: object) -> bytes:
    """The body of an inference."""
    return orjson.dumps({"input_data": data, **fields})


class Server:
    """A process that has said it is ready."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        """Wait for the ready line."""
        self.process = process
        self._log = log
        until(lambda: self._ready() is not None or process.poll() is not None, READY_LIMIT_S, self.log)
        ready = self._ready()
        assert ready is not None, f"not ready: {self.log()!r}"
        self.port = int(ready[1])
        self.address = f"127.0.0.1:{self.port}"

    def _ready(self) -> re.Match[bytes] | None:
        """The whole ready line: its end may be written after its beginning."""
        return re.search(rb" ready on http://127\.0\.0\.1:(\d+)\n", self.log())

    def log(self) -> bytes:
        """What it wrote to standard error."""
        return self._log.read_bytes()

    def connect(self) -> Connection:
        """A new connection."""
        return Connection(self.port)

    def ask(self, data: bytes) -> Answer:
        """One request on a connection of its own."""
        with self.connect() as connection:
            return connection.ask(data)

    def infer(self, data: object, *headers: str) -> Answer:
        """One inference on a connection of its own."""
        return self.ask(request(infer_body(data), *headers))

    def get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """The JSON of a page."""
        return self.ask(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()).json

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait; returns the exit status."""
        self.process.send_signal(number)
        return self.process.wait(END_LIMIT_S)


class Servers:
    """Starts servers and ends every one of them."""

    def __init__(self, folder: Path) -> None:
        """Keep logs in this folder."""
        self._folder = folder
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        """Use as a context."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what still runs."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.wait(END_LIMIT_S)

    def worker(self, model: Path, *flags: str, name: str = "worker_1") -> Server:
        """Start a worker and wait until it is ready."""
        return self._start("worker", "0", name, str(model), *flags)

    def gateway(self, workers: Sequence[Server], *flags: str) -> Server:
        """Start a gateway and wait until it is ready."""
        addresses = [worker.address for worker in workers]
        return self._start("gateway", "--port", "0", "--grpc-port", "0", *flags, *addresses)

    def _start(self, *arguments: str) -> Server:
        log = self._folder / f"{len(self._started)}.log"
        with log.open("wb") as errors:
            process = subprocess.Popen([sys.executable, "-m", "ringserve", *arguments], stderr=errors)
        self._started.append(process)
        return Server(process, log)


def until(holds: Callable[[], bool], limit_s: float, seen: Callable[[], object]) -> None:
    """Wait until something holds; fail with what was `seen` when it does not within the limit."""
    end = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < end, f"did not come to hold within {limit_s} s: {seen()!r}"
        time.sleep(0.01)
