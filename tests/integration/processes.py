"""Real servers for tests: started on free ports, waited for by their ready line, ended by pid."""

from __future__ import annotations

import http.client
import json
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

READY_LIMIT_S = 30.0
END_LIMIT_S = 40.0
_READY = re.compile(r"ringserve .* ready on http://([0-9.]+):(\d+)")


class Server:
    """One running `ringserve` process."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ringserve", *arguments], stderr=subprocess.PIPE, text=True
        )
        self.lines: list[str] = []
        self._arrived: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.host, self.port = "", 0

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            self._arrived.put(line)
        self._arrived.put(None)

    def wait_ready(self) -> Server:
        while True:
            line = self._arrived.get(timeout=READY_LIMIT_S)
            assert line is not None, f"it ended: {self.lines}"
            found = _READY.match(line)
            if found:
                self.host, self.port = found[1], int(found[2])
                return self

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def end(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        try:
            status = self.process.wait(END_LIMIT_S)
        finally:
            self.process.kill()
            self._reader.join()
            assert self.process.stderr is not None
            self.process.stderr.close()
        return status

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, self.port, timeout=20)

    def get(self, path: str) -> tuple[int, dict[str, object]]:
        connection = self.connect()
        connection.request("GET", path)
        answer = connection.getresponse()
        page = json.loads(answer.read())
        connection.close()
        return answer.status, page


@contextmanager
def fleet(model: Path, workers: int = 1, *flags: str) -> Iterator[tuple[Server, list[Server]]]:
    """A gateway and its workers."""
    started: list[Server] = []
    try:
        nodes = []
        for number in range(1, workers + 1):
            nodes.append(Server(["worker", "0", f"worker_{number}", str(model), *flags]))
            started.append(nodes[-1])
        for node in nodes:
            node.wait_ready()
        gateway = Server(["gateway", *(node.address for node in nodes), "--port", "0"])
        started.append(gateway)
        gateway.wait_ready()
        yield gateway, nodes
    finally:
        for server in reversed(started):
            server.end(signal.SIGKILL)
