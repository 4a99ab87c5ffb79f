"""gRPC on a port of its own: grpcio's server, whose threads wait for what the event loop answers."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import grpc

from ringserve.errors import UsageError
from ringserve.limits import GRPC_CALLS_MAX, GRPC_PING_INTERVAL_S
from ringserve.net.grpc_handlers import handlers_of
from ringserve.net.grpc_service import GrpcService
from ringserve.net.grpc_tls import credentials_of
from ringserve.net.listening import bind

if TYPE_CHECKING:
    from threading import Event

    from ringserve.net.backend import Backend
    from ringserve.net.guard import Guard
    from ringserve.net.large_bodies import LargeBodies
    from ringserve.net.tls import Tls
    from ringserve.settings import Settings

log = logging.getLogger(__name__)
_INT_MAX = (1 << 31) - 1
"""The largest number that an option of grpcio may have."""
QUIET_S = 1.0
"""How long a draining server leaves a stream open on which nothing happens."""
_STOP_S = 2.0


class GrpcServer:
    """Serves a backend.

    Attributes:
        service: What answers.
    """

    def __init__(
        self, settings: Settings, backend: Backend, guard: Guard, bodies: LargeBodies, *, shared: bool
    ) -> None:
        """Listen on `--grpc-port` and begin to serve. Call this in the event loop.

        Args:
            settings: Of the process.
            backend: Answers.
            guard: Who may come in.
            bodies: The large ones that are held and read beside the loop, whatever they came by.
            shared: Whether another process of ours may listen there too: one that this one replaces.

        Raises:
            UsageError: The port is taken, or cannot be listened on.
        """
        self.service = GrpcService(backend, guard.keys, asyncio.get_running_loop(), bodies)
        self._drain_s = settings.drain_timeout_s
        self._stopped: Event | None = None
        self._drain_began = 0.0
        self._server = grpc.server(
            ThreadPoolExecutor(GRPC_CALLS_MAX, thread_name_prefix="grpc"),
            options=_options(settings, shared=shared),
            maximum_concurrent_rpcs=GRPC_CALLS_MAX,
        )
        for name, handlers in handlers_of(self.service).items():
            self._server.add_registered_method_handlers(name, handlers)
        self._listen(settings, guard.tls, shared=shared)
        self._server.start()

    def close(self, now: float) -> None:
        """Take no new calls; those that were accepted are answered."""
        self._drain_began = now
        self._stopped = self._server.stop(self._drain_s + _STOP_S)

    def gone(self, now: float) -> bool:
        """Whether all calls are over, but for streams on which nothing happens."""
        if self._stopped is None or self._stopped.is_set():
            return True
        return now - max(self.service.active_at, self._drain_began) > QUIET_S

    async def stop(self) -> None:
        """End what is left."""
        async with asyncio.timeout(_STOP_S):
            await asyncio.to_thread(self._server.stop, None)

    def _listen(self, settings: Settings, tls: Tls, *, shared: bool) -> None:
        host, port = settings.host, settings.grpc_port
        if not shared:
            try:
                bind(host, port).close()  # for its sentence: grpcio tells no reason
            except UsageError as error:
                raise UsageError(f"--grpc-port: {error}, or 0 for none") from None
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            if tls.server is None:
                self._server.add_insecure_port(address)
            else:
                self._server.add_secure_port(address, credentials_of(tls))
        except RuntimeError:
            raise UsageError(f"--grpc-port: cannot listen on {host} port {port}; choose another") from None
        log.info("gRPC is served on %s", address)


def _options(settings: Settings, *, shared: bool) -> list[tuple[str, int]]:
    """What grpcio's server is told; limits as those of HTTP where there are such."""
    head_bytes = settings.max_header_kb << 10
    return [
        ("grpc.so_reuseport", int(shared)),
        ("grpc.max_receive_message_length", min(settings.max_body_bytes, _INT_MAX)),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_metadata_size", head_bytes),
        ("grpc.absolute_max_metadata_size", head_bytes),
        ("grpc.max_concurrent_streams", GRPC_CALLS_MAX),
        ("grpc.max_allowed_incoming_connections", settings.max_connections),
        ("grpc.max_connection_idle_ms", min(int(settings.keep_alive_s * 1000), _INT_MAX)),
        # Clients that keep a quiet connection alive are thrown out with "too many pings" by default.
        ("grpc.http2.min_ping_interval_without_data_ms", int(GRPC_PING_INTERVAL_S * 1000)),
        ("grpc.keepalive_permit_without_calls", 1),
    ]
