"""A well-behaved client beside an attack: every answer it gets is kept and compared with onnxruntime's."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnxruntime

from ringserve.models.digits import digits_path
from tests.integration.servers import Server, infer_body, request, until

SIZE = 64
PAUSE_S = 0.002
FEW = 20


def image(number: int) -> list[float]:
    """The input of this number, different for each and exact in float32."""
    return [float(number % 1000), float(number // 1000), *([1.0] * (SIZE - 2))]


class Neighbour:
    """Asks for one distinct input after another, on one connection, until it is told to stop."""

    def __init__(self, server: Server, first: int) -> None:
        """Begin at once; inputs are numbered from `first`."""
        self.waits_s: list[float] = []
        self.outputs: dict[int, list[float]] = {}
        self.wrong: list[str] = []
        self._server = server
        self._next = first
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, name="neighbour")
        self._thread.start()

    def stop(self) -> None:
        """Stop once a few requests have been answered; what was answered is checked here."""
        until(lambda: len(self.waits_s) >= FEW or bool(self.wrong), lambda: len(self.waits_s))
        self._stop.set()
        self._thread.join()
        if self.outputs:
            session = onnxruntime.InferenceSession(digits_path(), providers=["CPUExecutionProvider"])
            rows = np.array([image(number) for number in self.outputs], np.float32)
            (expected,) = session.run(None, {session.get_inputs()[0].name: rows})
            got = np.array(list(self.outputs.values()), np.float32)
            for number, same in zip(self.outputs, np.isclose(expected, got, 1e-4, 1e-5).all(1), strict=True):
                if not same:
                    self.wrong.append(f"the answer to input {number} is wrong")

    def _ask(self) -> None:
        try:
            with self._server.connect() as connection:
                while not self._stop.wait(PAUSE_S):
                    body = infer_body(image(self._next), request_id=str(self._next))
                    began = time.monotonic()
                    answer = connection.ask(request(body))
                    self.waits_s.append(time.monotonic() - began)
                    if answer.status != 200 or answer.json["request_id"] != str(self._next):
                        self.wrong.append(f"input {self._next} got {answer.status} {answer.body[:200]!r}")
                        return
                    self.outputs[self._next] = answer.json["output_data"]
                    self._next += 1
        except (OSError, AssertionError) as error:
            self.wrong.append(f"input {self._next}: {error!r}")


def resident(server: Server) -> int:
    """The bytes of memory that a server holds."""
    for line in Path("/proc", str(server.process.pid), "status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10
    return 0


_numbers = iter(range(0, 1 << 30, 20_000))


@contextmanager
def beside(server: Server, growth_max: int = 32 << 20) -> Iterator[Neighbour]:
    """Attack within; afterwards the neighbour saw only right answers, and the server is what it was."""
    before = resident(server)
    neighbour = Neighbour(server, next(_numbers))
    try:
        yield neighbour
    finally:
        neighbour.stop()
    assert not neighbour.wrong, neighbour.wrong  # the words of an assertion are shown in test modules only
    answer = server.infer(image(next(_numbers)))
    assert (answer.status, len(answer.json["output_data"])) == (200, 10)
    until(lambda: resident(server) - before < growth_max, lambda: resident(server) - before)
