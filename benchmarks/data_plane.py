"""`make bench`: gateway and one worker beside an empty uvicorn app, in turn, in one run.

Both get the same load of distinct inputs from wrk, which runs on the same machine. The empty app has the same
event loop and HTTP parser, decodes the same JSON and answers a constant: nothing else is left for it to do.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.mlp import build_mlp
from benchmarks.processes import RINGSERVE, cpu_s, free_ports, healthy, listens, running, wait_until
from benchmarks.results import keep, machine
from benchmarks.wrk import load, require_wrk

ROUNDS, SECONDS, CONNECTIONS = 5, 4, 50
SIZES = (64, 128, 10)
OURS, EMPTY = "ringserve", "empty app"
UVICORN = (
    sys.executable,
    "-m",
    "uvicorn",
    "benchmarks.empty_app:app",
    "--loop",
    "uvloop",
    "--http",
    "httptools",
)
QUIET = ("--no-access-log", "--log-level", "error")

Row = dict[str, float]


@dataclass(frozen=True, slots=True)
class Target:
    port: int
    pids: dict[str, int]


def main() -> None:
    require_wrk()
    where = machine()
    with ExitStack() as stack:
        worker_port, targets = start(stack)
        warm_up(targets)
        rounds = measure_in_turn(targets)
        hit_rate = cache_hit_rate(worker_port)
    report(rounds, hit_rate)
    keep(
        "data_plane", where, {"rounds": rounds, "ratio_of_medians": ratio(rounds), "cache_hit_rate": hit_rate}
    )


def start(stack: ExitStack) -> tuple[int, dict[str, Target]]:
    worker_port, gateway_port, empty_port = free_ports(3)
    model = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "mlp.onnx"
    build_mlp(model, SIZES)
    worker = stack.enter_context(running([*RINGSERVE, "worker", str(worker_port), "worker_1", str(model)]))
    ports = ["--port", str(gateway_port), "--grpc-port", "0"]
    gateway = stack.enter_context(running([*RINGSERVE, "gateway", f"127.0.0.1:{worker_port}", *ports]))
    empty = stack.enter_context(running([*UVICORN, *QUIET, "--port", str(empty_port)]))
    wait_until(healthy, worker_port, worker)
    wait_until(healthy, gateway_port, gateway)
    wait_until(listens, empty_port, empty)
    return worker_port, {
        OURS: Target(gateway_port, {"gateway": gateway.pid, "worker": worker.pid}),
        EMPTY: Target(empty_port, {"app": empty.pid}),
    }


def warm_up(targets: dict[str, Target]) -> None:
    for target in targets.values():
        load(target.port, connections=CONNECTIONS, seconds=1)


def measure_in_turn(targets: dict[str, Target]) -> dict[str, list[Row]]:
    """Measure all targets in each round, each round in the other order, so that a drift hits all alike."""
    rounds: dict[str, list[Row]] = {name: [] for name in targets}
    for number in range(ROUNDS):
        for name in list(targets) if number % 2 else reversed(targets):
            row = measure(targets[name])
            rounds[name].append(row)
            print(f"round {number + 1}/{ROUNDS}  {name:9}  {row['rate']:,.0f}/s", file=sys.stderr)
    return rounds


def measure(target: Target) -> Row:
    before = {name: cpu_s(pid) for name, pid in target.pids.items()}
    done = load(target.port, connections=CONNECTIONS, seconds=SECONDS)
    row = {"rate": done.rate, "p50_ms": done.p50_ms, "p99_ms": done.p99_ms}
    for name, pid in target.pids.items():
        row[f"{name}_cpu_us"] = (cpu_s(pid) - before[name]) / done.requests * 1e6
    return row


def cache_hit_rate(worker_port: int) -> float:
    """What the worker answered from memory: 0, or the inputs were not distinct."""
    with urllib.request.urlopen(f"http://127.0.0.1:{worker_port}/health", timeout=5) as answer:
        return float(json.load(answer)["cache_hit_rate"])


def ratio(rounds: dict[str, list[Row]]) -> float:
    ours, empty = (statistics.median(row["rate"] for row in rounds[name]) for name in (OURS, EMPTY))
    return ours / empty


def report(rounds: dict[str, list[Row]], hit_rate: float) -> None:
    shape = "-".join(map(str, SIZES))
    print(f"MLP {shape}, {CONNECTIONS} connections, distinct inputs (cache hits: {hit_rate:.2%})")
    print(f"medians of {ROUNDS} rounds of {SECONDS} s in turn; CPU in microseconds a request")
    for name, rows in rounds.items():
        medians = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
        cpu = "  ".join(
            f"{key[:-7]} {value:.1f}" for key, value in medians.items() if key.endswith("_cpu_us")
        )
        print(
            f"{name:9}  {medians['rate']:8,.0f}/s  p50 {medians['p50_ms']:.2f} ms  "
            f"p99 {medians['p99_ms']:.2f} ms  CPU: {cpu}"
        )
    pairs = zip(rounds[OURS], rounds[EMPTY], strict=True)
    each = [ours["rate"] / empty["rate"] for ours, empty in pairs]
    print(f"{OURS} / {EMPTY}: {ratio(rounds):.2f} (rounds {min(each):.2f} to {max(each):.2f})")


if __name__ == "__main__":
    main()
