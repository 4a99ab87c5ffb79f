"""`make bench-reference`: the benchmark of the C++ reference design, beside the figures it published.

10,000 requests from 50 client threads through a gateway and three workers. The published figures name
neither machine nor model: they are a mark to pass, no comparison of two programs.
"""

from __future__ import annotations

import json
import subprocess
from typing import Any

from benchmarks.processes import RINGSERVE, free_ports, healthy, running, wait_until
from benchmarks.results import keep, machine

REQUESTS, THREADS, WORKERS = 10_000, 50, 3
LIMIT_S = 300
PUBLISHED = {
    "requests/s": 522.64,
    "success %": 100.0,
    "mean ms": 86.82,
    "median ms": 84.60,
    "P90 ms": 124.49,
    "P95 ms": 137.59,
    "P99 ms": 164.29,
}


def main() -> None:
    where = machine()
    gateway, base = free_ports(1)[0], free_ports(WORKERS, consecutive=True)[0]
    ports = ["--port", str(gateway), "--base-port", str(base), "--grpc-port", "0"]
    with running([*RINGSERVE, "up", "--workers", str(WORKERS), *ports]) as up:
        wait_until(healthy, gateway, up)
        for number in range(WORKERS):
            wait_until(healthy, base + number, up)
        found = bench(gateway)
    measured = figures(found)
    for name, published in PUBLISHED.items():
        print(f"{name:10}  {measured[name]:10,.2f}  published {published:.2f}")
    shares = " / ".join(f"{worker['share']:.2%}" for worker in found["workers"])
    print(f"inputs: {found['inputs']}; cache hits {found['hit_rate']:.2%}; shares {shares}")
    keep("reference", where, {"measured": measured, "published": PUBLISHED, "report": found})


def bench(gateway: int) -> dict[str, Any]:
    size = ["--requests", str(REQUESTS), "--threads", str(THREADS), "--json"]
    command = [*RINGSERVE, "bench", "--gateway", f"http://127.0.0.1:{gateway}", *size]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=LIMIT_S, check=False)
    if done.returncode not in {0, 1}:
        raise SystemExit(done.returncode)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def figures(found: dict[str, Any]) -> dict[str, float]:
    latency = found["latency_ms"]
    return {
        "requests/s": found["requests_per_s"],
        "success %": 100 * found["success_rate"],
        "mean ms": latency["mean"],
        "median ms": latency["median"],
        "P90 ms": latency["p90"],
        "P95 ms": latency["p95"],
        "P99 ms": latency["p99"],
    }


if __name__ == "__main__":
    main()
