"""`make bench`: the data plane beside an empty uvicorn app, in turn, in one run."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

HERE = Path(__file__).parent
ROUNDS, SECONDS, CONNECTIONS = 5, 4, 50
START_LIMIT_S = 30
_RATE = re.compile(r"Requests/sec:\s+([0-9.]+)")
_QUANTILE = re.compile(r"(50|99)%\s+([0-9.]+)(us|ms|s)")
_UNIT = {"us": 1e-3, "ms": 1.0, "s": 1e3}


def main() -> int:
    if shutil.which("wrk") is None:
        print("wrk is missing: apt-get install wrk", file=sys.stderr)
        return 2
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        model = folder / "mlp.onnx"
        build_mlp(model, (64, 128, 10))
        worker_port, gateway_port, empty_port = free_ports(3)
        ours = [sys.executable, "-m", "ringserve"]
        worker = start(stack, [*ours, "worker", str(worker_port), "worker_1", str(model)], worker_port)
        address = f"127.0.0.1:{worker_port}"
        gateway = start(stack, [*ours, "gateway", address, "--port", str(gateway_port)], gateway_port)
        wait_healthy(gateway_port)
        uvicorn = [sys.executable, "-m", "uvicorn", "benchmarks.empty_app:app", "--port", str(empty_port)]
        plain = [
            *uvicorn,
            "--loop",
            "uvloop",
            "--http",
            "httptools",
            "--no-access-log",
            "--log-level",
            "error",
        ]
        empty = start(stack, plain, empty_port)
        targets = {"ringserve": (gateway_port, [gateway, worker]), "empty app": (empty_port, [empty])}
        rounds: dict[str, list[dict[str, float]]] = {name: [] for name in targets}
        for number in range(ROUNDS):
            for name, (port, processes) in targets.items():
                rounds[name].append(measure(port, processes))
                print(
                    f"round {number + 1}/{ROUNDS} {name}: {rounds[name][-1]['rate']:,.0f}/s", file=sys.stderr
                )
    report(rounds)
    return 0


def measure(port: int, processes: list[subprocess.Popen[bytes]]) -> dict[str, float]:
    before = [cpu_s(process.pid) for process in processes]
    url = f"http://127.0.0.1:{port}/infer"
    command = [
        "wrk",
        "-t1",
        f"-c{CONNECTIONS}",
        f"-d{SECONDS}s",
        "--latency",
        "-s",
        str(HERE / "distinct.lua"),
        url,
    ]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate = float(_RATE.search(text)[1])  # type: ignore[index]
    if "Non-2xx" in text or "Socket errors" in text:
        raise SystemExit(f"some requests failed:\n{text}")
    row = {"rate": rate}
    for name, value, unit in _QUANTILE.findall(text):
        row[f"p{name}_ms"] = float(value) * _UNIT[unit]
    spent = [cpu_s(process.pid) - was for process, was in zip(processes, before, strict=True)]
    for number, seconds in enumerate(spent):
        row[f"cpu_us_{number}"] = seconds / (rate * SECONDS) * 1e6
    return row


def report(rounds: dict[str, list[dict[str, float]]]) -> None:
    medians = {
        name: {key: statistics.median(row[key] for row in rows) for key in rows[0]}
        for name, rows in rounds.items()
    }
    pairs = zip(rounds["ringserve"], rounds["empty app"], strict=True)
    ratios = [ours["rate"] / empty["rate"] for ours, empty in pairs]
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    versions = {
        name: version(name)
        for name in ("ringserve", "uvicorn", "uvloop", "httptools", "onnxruntime", "orjson")
    }
    print(
        f"MLP 64-128-10, {CONNECTIONS} connections, distinct inputs, {ROUNDS} rounds of {SECONDS} s in turn"
    )
    print(machine, versions)
    for name, row in medians.items():
        print(f"{name:10} " + "  ".join(f"{key} {value:,.2f}" for key, value in row.items()))
    print("(cpu_us_0 is the gateway or the app, cpu_us_1 the worker: CPU microseconds a request)")
    print(f"ratio of rates: median {statistics.median(ratios):.2f}, {min(ratios):.2f} to {max(ratios):.2f}")
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    content = {"machine": machine, "versions": versions, "rounds": rounds, "ratios": ratios}
    (results / "data_plane.json").write_text(json.dumps(content, indent=1) + "\n")


def build_mlp(path: Path, sizes: tuple[int, ...]) -> None:
    chance = np.random.default_rng(0)
    nodes, weights, last = [], [], "x"
    for number, (rows, columns) in enumerate(pairwise(sizes)):
        weight = (chance.standard_normal((rows, columns)) / np.sqrt(rows)).astype(np.float32)
        weights.append(numpy_helper.from_array(weight, f"w{number}"))
        nodes.append(helper.make_node("MatMul", [last, f"w{number}"], [f"m{number}"]))
        last = f"m{number}"
        if number < len(sizes) - 2:
            nodes.append(helper.make_node("Relu", [last], [f"r{number}"]))
            last = f"r{number}"
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", size])
        for name, size in (("x", sizes[0]), (last, sizes[-1]))
    ]
    graph = helper.make_graph(nodes, "mlp", ends[:1], ends[1:], weights)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def start(stack: ExitStack, command: list[str], port: int) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(command)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    until = time.monotonic() + START_LIMIT_S
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return process
    raise SystemExit(f"{command} does not listen on port {port}")


def wait_healthy(port: int) -> None:
    until = time.monotonic() + START_LIMIT_S
    while time.monotonic() < until:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health").close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit("the gateway finds no worker")


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
