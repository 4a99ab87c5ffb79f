"""`make bench-startup`: `up` to ready with three workers, memory of each process, CPU of all when idle."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.__main__ import cpu_s, free_ports

ROUNDS, IDLE_S = 3, 10
RESULTS = Path(__file__).parent / "results" / "start_up.json"


def children_of(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(one) for one in listed.split()]


def memory_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def measure() -> dict[str, float]:
    gateway, base = free_ports(2)
    command = [sys.executable, "-m", "ringserve", "up", "--port", str(gateway), "--base-port", str(base)]
    began = time.monotonic()
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        ready_s = 0.0
        for line in process.stderr:
            if "gateway ready" in line:
                ready_s = time.monotonic() - began
                break
        time.sleep(1)
        pids = [process.pid, *children_of(process.pid)]
        before = sum(map(cpu_s, pids))
        time.sleep(IDLE_S)
        idle = (sum(map(cpu_s, pids)) - before) / IDLE_S * 100
        largest = max(memory_mb(pid) for pid in pids)
        process.terminate()
        process.communicate()
    return {"ready_s": ready_s, "idle_percent_of_a_core": idle, "largest_process_mb": largest}


def main() -> None:
    rounds = [measure() for _ in range(ROUNDS)]
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, three workers with the digits model")
    for name in rounds[0]:
        print(f"{name}: {statistics.median(one[name] for one in rounds):.2f} (median of {ROUNDS})")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(rounds, indent=1) + "\n")


if __name__ == "__main__":
    main()
