"""`python -m benchmarks.clients`: CPU time of one call by clients of `/v2`, each in this process, in turn.

The server is `ringserve up` with the digits model. httpx is measured where it is installed.
"""

from __future__ import annotations

import http.client
import importlib.util
import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tritonclient.http

import ringserve
from benchmarks.processes import RINGSERVE, free_ports, healthy, running, wait_until
from benchmarks.results import keep, machine

ROUNDS = 7
CALLS = {1: 300, 2500: 40}
"""Calls a round, by rows of 64 floats."""
PATH = "/v2/models/digits/infer"


def body_of(rows: Any) -> tuple[bytes, dict[str, str]]:  # noqa: ANN401 - an array
    tensor = {
        "name": "pixels",
        "datatype": "FP32",
        "shape": rows.shape,
        "parameters": {"binary_data_size": rows.nbytes},
    }
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    return head + rows.tobytes(), {"Inference-Header-Content-Length": str(len(head))}


def numbers_in(body: bytes, json_size: str | None) -> Any:  # noqa: ANN401
    size = int(json_size or 0)
    json.loads(body[:size])
    return np.frombuffer(body[size:], "<f4")


@contextmanager
def calls(port: int, rows: Any) -> Iterator[dict[str, Callable[[], object]]]:  # noqa: ANN401
    client = ringserve.Client(f"http://127.0.0.1:{port}")
    plain = http.client.HTTPConnection("127.0.0.1", port)
    triton = tritonclient.http.InferenceServerClient(f"127.0.0.1:{port}")

    def by_http_client() -> object:
        plain.request("POST", PATH, *body_of(rows))
        answer = plain.getresponse()
        return numbers_in(answer.read(), answer.headers["inference-header-content-length"])

    def by_tritonclient() -> object:
        pixels = tritonclient.http.InferInput("pixels", list(rows.shape), "FP32")
        pixels.set_data_from_numpy(rows)
        return triton.infer("digits", [pixels]).as_numpy("probabilities")

    made: dict[str, Callable[[], object]] = {
        "ringserve.Client": lambda: client.infer("digits", {"pixels": rows})["probabilities"],
        "http.client": by_http_client,
        "tritonclient.http": by_tritonclient,
    }
    if importlib.util.find_spec("httpx"):
        session = importlib.import_module("httpx").Client()

        def by_httpx() -> object:
            body, headers = body_of(rows)
            answer = session.post(f"http://127.0.0.1:{port}{PATH}", content=body, headers=headers)
            return numbers_in(answer.content, answer.headers["inference-header-content-length"])

        made["httpx"] = by_httpx
    yield made
    client.close()
    plain.close()
    triton.close()


def cpu_us(call: Callable[[], object], times: int) -> float:
    began = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - began) / times * 1e6


def main() -> None:
    where = machine()
    gateway, base = free_ports(1)[0], free_ports(1, consecutive=True)[0]
    ports = ["--port", str(gateway), "--base-port", str(base), "--grpc-port", "0"]
    found: dict[str, dict[str, list[float]]] = {}
    with running([*RINGSERVE, "up", "--workers", "1", *ports]) as up:
        wait_until(healthy, gateway, up)
        for rows, times in CALLS.items():
            with calls(gateway, np.zeros((rows, 64), np.float32)) as made:
                seen = found[f"{rows} rows"] = {name: [cpu_us(call, 10)][:0] for name, call in made.items()}
                for _ in range(ROUNDS):
                    for name, call in made.items():
                        seen[name].append(cpu_us(call, times))
    for title, seen in found.items():
        print(f"{title} of 64 floats: CPU µs of the client a call, median of {ROUNDS} rounds")
        for name, values in seen.items():
            print(f"  {name:20} {statistics.median(values):7.0f}  ({min(values):.0f} to {max(values):.0f})")
    keep("clients", where, found)


if __name__ == "__main__":
    main()
