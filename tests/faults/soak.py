"""`make soak`: ten minutes of load, a fault every few seconds; then what became of the requests, and memory.

MINUTES sets how long. Worker 1 is killed and stopped, worker 2 is hung, callers leave in the middle, bursts
come; worker 3, the gateway and `up` live through it all, and their memory tells of leaks.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.processes import children_of, command_of, memory_mb
from benchmarks.results import keep, machine
from ringserve.limits import CRASH_LOOP_DEATHS, CRASH_LOOP_WINDOW_S
from tests.faults.crowd import Crowd, Tally, row_of, tally
from tests.integration.servers import Server, Servers, infer_body, request, until
from tests.support import models

RUN_S = 0.02
WARM_S = 30.0
"""Load before memory is looked at first: caches and buffers fill."""
PAUSE_S = (2.0, 8.0)
HANG_S = 3.5
BURST = 500
GROWTH_MAX = 0.05


def main() -> None:
    """Soak and print."""
    console, where = Console(), machine()
    minutes = float(os.environ.get("MINUTES") or 10)
    with tempfile.TemporaryDirectory() as folder, Servers(Path(folder)) as servers:
        model = models.slow(Path(folder) / "slow.onnx", RUN_S)
        up = servers.up(str(model), workers=3).wait_ready()
        crowd = Crowd(up.port)
        with crowd.running(), Progress(console=console) as progress:
            first, faults = _soak(up, minutes * 60, progress)
            last = _memory(up)
        result = tally(crowd.shots, model)
    console.print(_report(result, crowd.refused, faults, first, last))
    keep(
        "soak",
        where,
        {"sent": result.sent, "right": result.right, "lost": result.lost, "wrong": result.wrong}
        | {"refused": dict(result.refused), "worst_s": result.worst_s, "faults": faults}
        | {"memory_first_mb": first, "memory_last_mb": last},
    )


def _soak(up: Server, seconds: float, progress: Progress) -> tuple[dict[str, float], dict[str, int]]:
    chance = random.Random(os.environ.get("SEED"))
    began = time.monotonic()
    task = progress.add_task("soak", total=seconds)
    first: dict[str, float] = {}
    faults: dict[str, int] = {}
    ends: list[float] = []  # of worker 1: one more within the window, and `up` would rightly give it up
    kinds: tuple[Callable[[Server], None], ...] = (_kill, _drain, _hang, _leave, _burst)
    while (passed := time.monotonic() - began) < seconds:
        progress.update(task, completed=passed)
        if not first and passed > min(WARM_S, seconds / 4):
            first = _memory(up)
        ends = [at for at in ends if time.monotonic() - at < CRASH_LOOP_WINDOW_S]
        fault = chance.choice(kinds if len(ends) < CRASH_LOOP_DEATHS - 2 else kinds[2:])
        if fault in kinds[:2]:
            ends.append(time.monotonic())
        fault(up)
        faults[fault.__name__.strip("_")] = faults.get(fault.__name__.strip("_"), 0) + 1
        pause = time.monotonic() + chance.uniform(*PAUSE_S)
        until(partial(_rested, up, pause), up.log, 60.0)
    return first, faults


def _rested(up: Server, until_s: float) -> bool:
    return time.monotonic() > until_s and _whole(up)


def _kill(up: Server) -> None:
    os.kill(_child(up, "worker_1"), signal.SIGKILL)


def _drain(up: Server) -> None:
    os.kill(_child(up, "worker_1"), signal.SIGTERM)


def _hang(up: Server) -> None:
    pid = _child(up, "worker_2")
    os.kill(pid, signal.SIGSTOP)
    time.sleep(HANG_S)  # the fault itself, not a wait for something
    os.kill(pid, signal.SIGCONT)


def _leave(up: Server) -> None:
    """Callers who hang up in the middle of what they ask for."""
    for number in range(BURST):
        with socket.create_connection((up.host, up.port)) as connection:
            connection.sendall(request(infer_body(row_of((1 << 31) - number))))


def _burst(up: Server) -> None:
    """Many requests at once, of one input."""
    with up.connect() as connection:
        connection.send(request(infer_body(row_of(1 << 31))) * BURST)
        for _ in range(BURST):
            assert connection.answer().status in (200, 429)


def _child(up: Server, name: str) -> int:
    until(lambda: bool(_named(up, name)), up.log)
    return _named(up, name)[0]


def _named(up: Server, name: str) -> list[int]:
    return [pid for pid in children_of(up.process.pid) if name in command_of(pid)]


def _memory(up: Server) -> dict[str, float]:
    """Resident memory of those that live through it all, in MB."""
    gateway = [pid for pid in children_of(up.process.pid) if "gateway" in command_of(pid)]
    return {
        "up": memory_mb(up.process.pid),
        "gateway": memory_mb(gateway[0]),
        "worker_2": memory_mb(_child(up, "worker_2")),
        "worker_3": memory_mb(_child(up, "worker_3")),
    }


def _whole(up: Server) -> bool:
    rows = up.get("/stats").json["circuit_breakers"]
    return all(row["link"] == "up" and row["state"] == "CLOSED" for row in rows)


def _report(
    result: Tally, refused: int, faults: dict[str, int], first: dict[str, float], last: dict[str, float]
) -> Table:
    table = Table(title="Soak", show_header=False)
    table.add_row("faults", ", ".join(f"{name}: {count}" for name, count in sorted(faults.items())))
    table.add_row("requests sent", f"{result.sent:,}")
    table.add_row("answered right", f"{result.right:,}")
    table.add_row("refused", str(dict(result.refused) or 0))
    table.add_row("connections refused", str(refused))
    table.add_row("lost", str(result.lost))
    table.add_row("wrong", str(result.wrong))
    table.add_row("worst latency", f"{result.worst_s:.2f} s")
    for name, was in first.items():
        growth = last[name] / was - 1
        verdict = "" if growth < GROWTH_MAX else f"  (more than {GROWTH_MAX:.0%})"
        table.add_row(f"memory of {name}", f"{was:.1f} MB -> {last[name]:.1f} MB, {growth:+.1%}{verdict}")
    return table


if __name__ == "__main__":
    main()
