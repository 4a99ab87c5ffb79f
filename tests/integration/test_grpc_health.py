"""`grpc.health.v1` tells of changes to who watches, as load balancers do."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from threading import Thread

import grpc

from ringserve.models.digits import digits_path
from ringserve.wire.proto.messages import HEALTH, message
from tests.integration.grpc_caller import LIMIT_S, caller, code_of
from tests.integration.servers import Servers, free_port

PACKAGE = HEALTH.rpartition(".")[0]
REQUEST = message(f"{PACKAGE}.HealthCheckRequest")
RESPONSE = message(f"{PACKAGE}.HealthCheckResponse")
Told = Queue[str]
DRAIN_S = 40


@contextmanager
def watching(channel: grpc.Channel, service: str = "") -> Iterator[Told]:
    """What a watcher is told, one by one, and how its call ended."""
    told: Told = Queue()
    stub = channel.unary_stream(
        f"/{HEALTH}/Watch",
        request_serializer=REQUEST.SerializeToString,
        response_deserializer=RESPONSE.FromString,
    )
    call = stub(REQUEST(service=service), timeout=2 * LIMIT_S)

    def read() -> None:
        try:
            for health in call:
                kind = RESPONSE.DESCRIPTOR.fields_by_name["status"].enum_type
                told.put(kind.values_by_number[health.status].name)
        except grpc.RpcError as error:
            told.put(code_of(error)[0])

    reader = Thread(target=read)
    reader.start()
    try:
        yield told
    finally:
        call.cancel()
        reader.join()


def test_a_watcher_is_told_at_once_and_then_of_each_change(tmp_path: Path) -> None:
    port, back = free_port(), str(free_port())

    def start(servers: Servers) -> Callable[[], None]:
        worker = servers.start("worker", back, "w", str(digits_path())).wait_ready()
        return worker.process.kill

    with Servers(tmp_path) as servers:
        kill = start(servers)
        flags = ("--port", "0", "--grpc-port", str(port), "--drain-timeout-s", str(DRAIN_S))
        gateway = servers.start("gateway", *flags, f"127.0.0.1:{back}").wait_ready()
        with (
            caller(port) as asked,
            watching(asked.channel) as server,
            watching(asked.channel, "digits") as model,
            watching(asked.channel, "other") as other,
        ):
            for told, first in ((server, "SERVING"), (model, "SERVING"), (other, "SERVICE_UNKNOWN")):
                assert told.get(timeout=LIMIT_S) == first
            kill()
            assert server.get(timeout=LIMIT_S) == "NOT_SERVING"
            assert model.get(timeout=LIMIT_S) == "NOT_SERVING"
            start(servers)
            assert server.get(timeout=LIMIT_S) == "SERVING"
            assert model.get(timeout=LIMIT_S) == "SERVING"
            gateway.send_signal(signal.SIGTERM)
            assert server.get(timeout=LIMIT_S) == "NOT_SERVING"
            assert server.get(timeout=LIMIT_S) in {"UNAVAILABLE", "CANCELLED"}
            assert gateway.process.wait(DRAIN_S / 2) == 0  # who watches keeps no server from ending
