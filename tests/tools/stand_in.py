"""Small real HTTP servers that answer the routes of a worker and a gateway as the contract says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = tuple[int, object]
Route = Callable[[bytes], Answer]

MODEL = {
    "name": "sums",
    "version": "1",
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 2]}],
}


@dataclass
class StandIn:
    """A server on a free port of the loopback, with a table of routes that a test may change."""

    routes: dict[str, Route] = field(default_factory=dict)
    port: int = 0
    requests: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def served(stand_in: StandIn) -> Iterator[StandIn]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 65536  # head and body in one packet: two would wait for a delayed acknowledgement

        def do_GET(self) -> None:
            self.answer(b"")

        def do_POST(self) -> None:
            self.answer(self.rfile.read(int(self.headers["Content-Length"])))

        def answer(self, body: bytes) -> None:
            route = stand_in.routes.get(f"{self.command} {self.path}")
            status, answer = route(body) if route else (404, {"error": "no such route"})
            data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 128

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # a client that leaves is part of some tests

    server = Server(("127.0.0.1", stand_in.port), Handler)
    stand_in.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield stand_in
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Worker(StandIn):
    """Answers with the sum and the count of the input; remembers what it has seen."""

    name: str = "worker_1"
    seen: set[str] = field(default_factory=set)
    hits: int = 0

    def __post_init__(self) -> None:
        self.routes |= {
            "GET /model": lambda _: (200, MODEL),
            "GET /health": lambda _: (200, self.health()),
            "POST /infer": self.infer,
        }

    def health(self) -> dict[str, object]:
        return {
            "healthy": True,
            "node_id": self.name,
            "total_requests": self.requests,
            "cache_hits": self.hits,
            "cache_size": len(self.seen),
            "cache_hit_rate": self.hits / max(1, self.requests),
            "batch_processor": {
                "total_batches": self.requests - self.hits,
                "avg_batch_size": 1.0,
                "timeout_batches": 0,
                "full_batches": 0,
            },
        }

    def infer(self, body: bytes) -> Answer:
        asked = json.loads(body)
        values, key = asked["input_data"], json.dumps(asked["input_data"])
        cached = key in self.seen
        self.seen.add(key)
        self.requests += 1
        self.hits += cached
        return 200, {
            "request_id": asked.get("request_id", "made-up"),
            "output_data": [float(sum(values)), float(len(values))],
            "node_id": self.name,
            "cached": cached,
            "inference_time_us": 7,
        }


@dataclass
class Gateway(StandIn):
    """Passes a request to the worker its input's digits name."""

    workers: list[Worker] = field(default_factory=list)
    state: str = "CLOSED"
    link: str | None = "up"

    def __post_init__(self) -> None:
        self.routes |= {
            "GET /model": lambda _: (200, MODEL),
            "GET /health": lambda _: (200, {"healthy": True, "workers_up": len(self.workers)}),
            "GET /stats": lambda _: (200, self.stats()),
            "POST /infer": self.infer,
        }

    def stats(self) -> dict[str, object]:
        breakers = [
            {"node": f"127.0.0.1:{worker.port}", "state": self.state, "failures": 0, "successes": 0}
            for worker in self.workers
        ]
        if self.link is not None:
            for breaker in breakers:
                breaker["link"] = self.link
        return {"total_workers": len(self.workers), "circuit_breakers": breakers}

    def infer(self, body: bytes) -> Answer:
        self.requests += 1
        key = json.dumps(json.loads(body)["input_data"])
        return self.workers[sum(key.encode()) % len(self.workers)].infer(body)


@contextmanager
def fleet(size: int = 3) -> Iterator[Gateway]:
    """Serve a gateway and its workers."""
    with ExitStack() as stack:
        workers = [stack.enter_context(served(Worker(name=f"worker_{n + 1}"))) for n in range(size)]
        gateway = Gateway(workers=[worker for worker in workers if isinstance(worker, Worker)])
        stack.enter_context(served(gateway))
        yield gateway
