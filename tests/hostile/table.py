"""What a well-behaved client sees while others attack: `make hostile` prints it as a table.

Each attack runs for a few seconds against one door while a neighbour asks for one input after another; its
latencies stand beside those of a quiet time just before. No figure is asserted: they are the machine's.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from ringserve.models.digits import digits_path
from tests.hostile.attacks import GOOD, ODD, SMUGGLED, START, wrong_bodies
from tests.hostile.neighbour import Neighbour, resident
from tests.hostile.stranger import Stranger, request_record, signature
from tests.integration.servers import Server, Servers, request

SECONDS = 4.0
MIB = 1 << 20
BIG = 60 * MIB
Attacker = Callable[[Server], None]
HEADINGS = (
    "attack",
    "door",
    "rounds",
    "neighbour's p99 before",
    "p99",
    "worst",
    "wrong",
    "memory before",
    "after",
)


def each(requests: list[bytes]) -> Attacker:
    """Send each on a connection of its own."""

    def attack(door: Server) -> None:
        for data in requests:
            with contextlib.suppress(OSError, AssertionError), door.connect() as connection:
                connection.send(data)
                connection.answer()

    return attack


def connect_and_leave(door: Server) -> None:
    """Open many connections, begin a head on each, hang up."""
    connections = [door.connect() for _ in range(200)]
    for connection in connections:
        connection.send(START)
        connection.socket.close()


def pipeline(door: Server) -> None:
    """Send a thousand requests at once and read their answers."""
    with door.connect() as connection:
        connection.send(request(GOOD) * 1000)
        for _ in range(1000):
            connection.answer()


def overrun(door: Server) -> None:
    """Open a link and send more than any credit."""
    with contextlib.suppress(OSError, AssertionError), Stranger(door) as stranger:
        record = request_record(1, bytes(256), signature(1, 64))
        stranger.send(len(record * 50_000).to_bytes(4, "little") + b"\2" + record * 50_000)
        stranger.is_closed()


ATTACKS: dict[str, Attacker] = {
    "smuggled and odd HTTP": each([attack.sent for attack in SMUGGLED + ODD]),
    "wrong bodies": each([request(body) for body, _status in wrong_bodies().values()]),
    "connections that come and go": connect_and_leave,
    "pipelines of 1,000": pipeline,
    "100,000 requests beyond the credit of a link": overrun,
    "60 MB that are one text": each([request(b'{"x":"' + b"a" * BIG + b'"}')]),
    "60 MB of digits": each([request(b'{"input_data":[' + b"1," * (BIG // 2) + b"1]}")]),
    "60 MB of empty lists": each([request(b'{"input_data":[' + b"[]," * (BIG // 3) + b"[]]}")]),
}


def measure(name: str, door: Server, where: str, first: int) -> list[str]:
    """Attack one door; returns the row."""
    quiet, memory = Neighbour(door, first), resident(door)
    time.sleep(1.0)
    quiet.stop()
    neighbour, rounds, stop = Neighbour(door, first + 100_000), 0, threading.Event()
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and not stop.is_set():
        ATTACKS[name](door)
        rounds += 1
    neighbour.stop()
    waits = sorted(neighbour.waits_s)
    figures = (percentile(sorted(quiet.waits_s)), percentile(waits), waits[-1])
    shown = [f"{seconds * 1000:.1f} ms" for seconds in figures]
    memories = [f"{size / MIB:.0f} MB" for size in (memory, resident(door))]
    return [name, where, str(rounds), *shown, str(len(neighbour.wrong)), *memories]


def percentile(ordered: list[float], share: float = 0.99) -> float:
    """The value that this share of the others is not above."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def line(cells: tuple[str, ...] | list[str]) -> None:
    """Print a row."""
    sys.stdout.write("| " + " | ".join(cells) + " |\n")
    sys.stdout.flush()


def main() -> None:
    """Attack both doors in every way."""
    line(HEADINGS)
    line(["---"] * len(HEADINGS))
    first = 0
    for name in ATTACKS:
        with tempfile.TemporaryDirectory() as folder, Servers(Path(folder)) as servers:
            gateway, (worker,) = servers.fleet(digits_path())
            for where, door in (("gateway", gateway), ("worker", worker)):
                if name.endswith("of a link") and door is gateway:
                    continue
                line(measure(name, door, where, first))
                first += 200_000


if __name__ == "__main__":
    main()
