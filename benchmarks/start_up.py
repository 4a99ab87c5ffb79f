"""`make bench-startup`: `up` to ready with three workers, memory of each process, CPU of all when idle."""

from __future__ import annotations

import statistics
import time

from benchmarks.processes import (
    RINGSERVE,
    children_of,
    command_of,
    cpu_s,
    free_ports,
    healthy,
    memory_mb,
    running,
    wait_until,
)
from benchmarks.results import keep, machine

ROUNDS, WORKERS, SETTLE_S, IDLE_S = 3, 3, 1, 10


def measure() -> dict[str, float]:
    gateway, base = free_ports(1)[0], free_ports(WORKERS, consecutive=True)[0]
    ports = ["--port", str(gateway), "--base-port", str(base), "--grpc-port", "0"]
    began = time.monotonic()
    with running([*RINGSERVE, "up", "--workers", str(WORKERS), *ports]) as up:
        wait_until(healthy, gateway, up)
        first_s = time.monotonic() - began
        for number in range(WORKERS):
            wait_until(healthy, base + number, up)
        all_s = time.monotonic() - began
        children = children_of(up.pid)
        processes = [up.pid, *children]
        spent = sum(map(cpu_s, processes))
        time.sleep(SETTLE_S)
        before, since = sum(map(cpu_s, processes)), time.monotonic()
        time.sleep(IDLE_S)
        idle = (sum(map(cpu_s, processes)) - before) / (time.monotonic() - since)
        workers = [pid for pid in children if "worker" in command_of(pid)]
        return {
            "gateway and first worker ready, s": first_s,
            "gateway and all workers ready, s": all_s,
            "CPU of all processes until then, s": spent,
            "CPU of all processes when idle, % of a core": 100 * idle,
            "largest worker, MB": max(map(memory_mb, workers)),
            "all processes, MB": sum(map(memory_mb, processes)),
        }


def main() -> None:
    where = machine()
    rounds = [measure() for _ in range(ROUNDS)]
    print(f"`ringserve up`, {WORKERS} workers, the digits model; medians of {ROUNDS} starts")
    for name in rounds[0]:
        values = [one[name] for one in rounds]
        print(f"{name:44}  {statistics.median(values):8.2f}  ({min(values):.2f} to {max(values):.2f})")
    keep("start_up", where, rounds)


if __name__ == "__main__":
    main()
