"""A load over gRPC: so many calls under way at a time, for so long. Prints what it did as JSON.

It runs in a process of its own, in Python, and takes more of the machine than wrk does: rates over gRPC are
lower for it. The servers' CPU time a request is what can be compared.
"""

from __future__ import annotations

import json
import sys
import threading
import time

import grpc
import numpy as np

from benchmarks.bodies import Input
from ringserve.wire.proto.messages import SERVICE, InferRequest


def main() -> None:
    """Arguments: port, seconds, calls under way, `distinct` or `same`, model, input, shape."""
    port, seconds, under_way, kind, model, name, shape = sys.argv[1:]
    asked = Input(model, name, tuple(json.loads(shape)))
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options) as channel:
        infer = channel.unary_unary(f"/{SERVICE}/ModelInfer")
        done = _offer(infer, asked, float(seconds), int(under_way), distinct=kind == "distinct")
    print(json.dumps(done))


def _offer(
    infer: grpc.UnaryUnaryMultiCallable, asked: Input, seconds: float, under_way: int, *, distinct: bool
) -> dict[str, float]:
    template = InferRequest(model_name=asked.model)
    template.inputs.add(name=asked.name, datatype="FP32", shape=asked.shape)
    before = template.SerializeToString()
    raw = asked.values().tobytes()
    seed = np.float32(time.time() % 1000)
    slots, count, failed, waits = threading.Semaphore(under_way), 0, [], []
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        slots.acquire()
        count += 1
        first = np.float32(seed + count).tobytes() if distinct else raw[:4]
        message = before + InferRequest(raw_input_contents=[first + raw[4:]]).SerializeToString()
        sent = time.monotonic()

        def settle(call: grpc.Future, sent: float = sent) -> None:
            waits.append(time.monotonic() - sent)
            if call.code() is not grpc.StatusCode.OK:
                failed.append(call.details())
            slots.release()

        infer.future(message, timeout=30).add_done_callback(settle)
    for _ in range(under_way):
        slots.acquire()
    took_s = time.monotonic() - began
    if failed:
        raise SystemExit(f"{len(failed)} calls failed, the first with: {failed[0]}")
    return {"requests": count, "rate": count / took_s, "p99_ms": 1e3 * sorted(waits)[int(0.99 * len(waits))]}


if __name__ == "__main__":
    main()
