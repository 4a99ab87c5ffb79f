"""`make bench-protocols`: what a request costs by each protocol, small and large, computed and remembered.

A gateway and one worker serve a model of 64 numbers, and another pair one of images of 3 x 224 x 224
numbers. Each form of request is measured in turn. What is compared is the servers' CPU time a request: the
load over gRPC is made by Python, that over HTTP by wrk.

Then: small requests beside a client that sends 150,528 numbers in JSON, back to back, to the same gateway.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from onnx import NodeProto, TensorProto, helper, save

from benchmarks.bodies import FORMS, Input, write_body
from benchmarks.mlp import build_mlp
from benchmarks.processes import RINGSERVE, cpu_s, free_ports, healthy, running, wait_until
from benchmarks.results import keep, machine
from benchmarks.wrk import Load, load_requests, require_wrk

ROUNDS, SECONDS = 3, 3
SMALL, LARGE = Input("mlp", "x", (1, 64)), Input("image", "x", (1, 3, 224, 224))
CONNECTIONS = {"mlp": 50, "image": 8}
NEIGHBOURS = 8
"""Connections of small requests beside the large bodies."""

Row = dict[str, float]
Case = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Pair:
    """A gateway with its worker."""

    port: int
    grpc_port: int
    pids: tuple[int, int]


def main() -> None:
    """Measure, print, keep."""
    require_wrk()
    where = machine()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        pairs = {"mlp": _start(stack, _mlp(folder)), "image": _start(stack, _image(folder))}
        rows = _measure_in_turn(pairs, folder)
        beside = _beside(_start(stack, _any_length(folder)).port, folder)
    _report(rows)
    _report_beside(beside)
    figures = {"/".join(case): measured for case, measured in rows.items()}
    keep("protocols", where, {"rounds": figures, "small_beside_large": beside})


def _mlp(folder: Path) -> Path:
    path = folder / "mlp.onnx"
    build_mlp(path, (64, 128, 10))
    return path


def _image(folder: Path) -> Path:
    """As cheap as a model of images can be: the mean of each channel."""
    path = folder / "image.onnx"
    node = helper.make_node("GlobalAveragePool", ["x"], ["y"])
    _save(path, [node], ["batch", 3, 224, 224], ["batch", 3, 1, 1])
    return path


def _any_length(folder: Path) -> Path:
    path = folder / "length.onnx"
    node = helper.make_node("ReduceMean", ["x"], ["y"], axes=[1])
    _save(path, [node], ["batch", "length"], ["batch", 1])
    return path


def _save(
    path: Path, nodes: list[NodeProto], shape_in: Sequence[str | int], shape_out: Sequence[str | int]
) -> None:
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("x", shape_in), ("y", shape_out))
    ]
    graph = helper.make_graph(nodes, path.stem, ends[:1], ends[1:])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def _start(stack: ExitStack, model: Path) -> Pair:
    worker_port, port, grpc_port = free_ports(3)
    worker = stack.enter_context(running([*RINGSERVE, "worker", str(worker_port), "worker_1", str(model)]))
    doors = ["--port", str(port), "--grpc-port", str(grpc_port)]
    gateway = stack.enter_context(running([*RINGSERVE, "gateway", f"127.0.0.1:{worker_port}", *doors]))
    wait_until(healthy, worker_port, worker)
    wait_until(healthy, port, gateway)
    return Pair(port, grpc_port, (gateway.pid, worker.pid))


def _measure_in_turn(pairs: dict[str, Pair], folder: Path) -> dict[Case, list[Row]]:
    cases = [
        (asked.model, form, kind)
        for asked in (SMALL, LARGE)
        for form in FORMS
        for kind in ("distinct", "same")
    ]
    rows: dict[Case, list[Row]] = {case: [] for case in cases}
    for case in cases:
        if case[1] != "grpc":
            asked = SMALL if case[0] == "mlp" else LARGE
            write_body(folder / "-".join(case), case[1], asked, distinct=case[2] == "distinct")
        _measure(pairs[case[0]], case, folder, seconds=1)
    for number in range(ROUNDS):
        for case in cases if number % 2 else reversed(cases):
            row = _measure(pairs[case[0]], case, folder, seconds=SECONDS)
            rows[case].append(row)
            print(
                f"round {number + 1}/{ROUNDS}  {' '.join(case):28}  {row['rate']:9,.0f}/s  "
                f"{row['cpu_us']:9,.0f} us",
                file=sys.stderr,
            )
    return rows


def _measure(pair: Pair, case: Case, folder: Path, seconds: int) -> Row:
    before = sum(map(cpu_s, pair.pids))
    model, form, kind = case
    if form == "grpc":
        done = _load_grpc(pair, SMALL if model == "mlp" else LARGE, kind, seconds)
    else:
        made = load_requests(
            pair.port, folder / "-".join(case), connections=CONNECTIONS[model], seconds=seconds
        )
        done = {"requests": made.requests, "rate": made.rate, "p99_ms": made.p99_ms}
    cpu_us = (sum(map(cpu_s, pair.pids)) - before) / done["requests"] * 1e6
    return {"rate": done["rate"], "cpu_us": cpu_us, "p99_ms": done["p99_ms"]}


def _load_grpc(pair: Pair, asked: Input, kind: str, seconds: int) -> Row:
    command = [sys.executable, "-m", "benchmarks.grpc_load", str(pair.grpc_port), str(seconds)]
    command += [str(CONNECTIONS[asked.model]), kind, asked.model, asked.name, json.dumps(asked.shape)]
    made = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    done: Row = json.loads(made.stdout)
    return done


def _beside(port: int, folder: Path) -> list[Row]:
    """The 99th percentile of small requests, without and with large bodies beside them, in turn."""
    small, large = Input("length", "x", (1, 64)), Input("length", "x", (1, 3 * 224 * 224))
    write_body(folder / "small", "infer", small, distinct=True)
    write_body(folder / "large", "rest_json", large, distinct=False)
    parts = [(folder / "large" / name).read_bytes() for name in ("before", "behind")]

    def ask() -> Load:
        return load_requests(port, folder / "small", connections=NEIGHBOURS, seconds=SECONDS)

    ask()
    rounds = []
    for _ in range(ROUNDS + 2):
        alone = ask()
        with _Sending(port, parts) as sent:
            crowded = ask()
        rounds.append(
            {"alone_p99_ms": alone.p99_ms, "beside_p99_ms": crowded.p99_ms, "large_bodies": float(sent.count)}
        )
    return rounds


class _Sending:
    """Sends large bodies back to back, each with another number in it, for as long as the block lasts."""

    def __init__(self, port: int, parts: list[bytes]) -> None:
        self._url = f"http://127.0.0.1:{port}/v2/models/length/infer"
        self._parts = parts
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send)
        self.count = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _send(self) -> None:
        while not self._stop.is_set():
            self.count += 1
            body = b"%b%d%b" % (self._parts[0], self.count, self._parts[1])
            with urllib.request.urlopen(self._url, body, timeout=30) as answer:  # noqa: S310 - http only
                answer.read()


def _report(rows: dict[Case, list[Row]]) -> None:
    print(f"medians of {ROUNDS} rounds of {SECONDS} s in turn; CPU of gateway and worker, a request")
    print(f"{'model':6} {'form':12} {'input':9} {'rate':>10} {'CPU':>10} {'beside /infer':>14} {'p99':>10}")
    for (model, form, kind), measured in rows.items():
        medians = {key: statistics.median(row[key] for row in measured) for key in measured[0]}
        infer = rows[model, "infer", kind]
        share = statistics.median(
            row["cpu_us"] / other["cpu_us"] for row, other in zip(measured, infer, strict=True)
        )
        print(
            f"{model:6} {form:12} {kind:9} {medians['rate']:8,.0f}/s {medians['cpu_us']:7,.0f} us "
            f"{share:14.2f} {medians['p99_ms']:7.2f} ms"
        )


def _report_beside(rounds: list[Row]) -> None:
    ratios = sorted(row["beside_p99_ms"] / row["alone_p99_ms"] for row in rounds)
    print(
        f"p99 of small requests beside bodies of 150,528 numbers, as a multiple of without: "
        f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}), "
        f"{statistics.median(row['large_bodies'] for row in rounds):.0f} such bodies in {SECONDS} s"
    )


if __name__ == "__main__":
    main()
