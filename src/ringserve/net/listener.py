"""One listening socket with its connections: served, swept, drained."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from ringserve.core.histogram import LATENCY_BOUNDS_S, Histogram
from ringserve.net.app import build_app
from ringserve.net.fast_path import HttpProtocol
from ringserve.net.guard import Guard
from ringserve.net.hot_paths import HotPaths
from ringserve.net.known_heads import KnownHeads
from ringserve.net.large_bodies import LargeBodies
from ringserve.net.listening import BACKLOG, accept_waiting
from ringserve.net.metrics_page import PATH as METRICS
from ringserve.net.oip_paths import Oip
from ringserve.net.outcomes import Counted, Outcomes
from ringserve.net.replies import default_headers, head_bytes
from ringserve.observe.catalogue.server import ServerStatistics
from ringserve.wire.oip_rest import RestCodec

if TYPE_CHECKING:
    import socket

    from ringserve.core.tensor import ModelSpec
    from ringserve.net.backend import Backend
    from ringserve.net.grpc_server import GrpcServer
    from ringserve.settings import Settings

CODECS_MAX = 1024
"""Models whose codec of `/v2` is kept."""

SWEEP_S = 1.0
HANDSHAKE_GRACE_S = 0.2
LINGER_S = 1.0
"""How long a draining listener leaves an idle connection open: a request on its way still finds it."""


class Listener:
    """Serves a backend over HTTP on one socket.

    Attributes:
        draining: Whether answers tell the client to close.
        outcomes: How requests ended.
        hot_paths: The routes of the fast path.
        loop_lag: How late the event loop came to its timers, in seconds.
        guard: Who may come in.
        keys: The API keys, with a count for each label; None where none is asked for.
        grpc: The other door; None where gRPC is not served.
    """

    def __init__(self, settings: Settings, backend: Backend) -> None:
        """Prepare to serve; `start` begins.

        Raises:
            UsageError: A file of certificates, keys or the secret cannot be used.
        """
        self.backend = backend
        self.body_max = settings.max_body_bytes
        self.head_max = settings.max_header_kb << 10
        self.connections_max = settings.max_connections
        self.guard = Guard(settings)
        self.keys = self.guard.keys
        self.draining = False
        self.known_heads = KnownHeads()
        self.large_bodies = LargeBodies()
        self.server_state = ServerState()
        self.outcomes = Outcomes((*backend.pages, METRICS, "/infer", *(route.template for route in Oip)))
        self.hot_paths = HotPaths(self)
        self._rest: dict[int, RestCodec] = {}
        self.loop_lag = Histogram(LATENCY_BOUNDS_S)
        self._keep_alive_s = settings.keep_alive_s
        self._header_timeout_s = settings.header_timeout_s
        self.body_timeout_s = settings.body_timeout_s
        self._id_prefix = os.urandom(6).hex()
        self._id_count = 0
        self.grpc: GrpcServer | None = None
        self._server: asyncio.Server | None = None
        self._listening: socket.socket | None = None
        self._drain_began = 0.0
        self.config = Config(
            Counted(build_app(self), self.outcomes),
            http=HttpProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_keep_alive=max(1, int(settings.keep_alive_s)),
        )
        self.config.load()
        self.head = b""
        self._tell_time()

    async def start(self, listening: socket.socket) -> None:
        """Begin to accept connections; other processes may listen on the same socket."""
        loop = asyncio.get_running_loop()
        self._listening = listening
        # create_server listens again: without the number it would cut the queue to its own default of 100.
        self._server = await loop.create_server(
            lambda: HttpProtocol(self), sock=listening, backlog=BACKLOG, **self._tls()
        )

    def new_request_id(self) -> str:
        """An id for a request that brought none."""
        self._id_count += 1
        return f"{self._id_prefix}-{self._id_count}"

    def rest_codec(self, spec: ModelSpec) -> RestCodec:
        """The codec of `/v2` for a model; that of each is kept."""
        codec = self._rest.get(id(spec))
        if codec is None or codec.spec is not spec:
            if len(self._rest) >= CODECS_MAX:
                self._rest.clear()
            codec = self._rest[id(spec)] = RestCodec(spec)
        return codec

    def sweep(self, now: float) -> None:
        """Tell the time in answers; close what is idle or slow. Call about once in `SWEEP_S`."""
        self._tell_time()
        self.guard.refresh()
        self.large_bodies.sweep()
        for protocol in list(self.server_state.connections):
            if not isinstance(protocol, HttpProtocol):
                continue
            quiet_s = now - protocol.active_at
            if protocol.unread_s(now) > self._keep_alive_s:
                protocol.transport.abort()  # to close would wait for the reader who does not come
            elif protocol.in_head and now - protocol.head_at > self._header_timeout_s:
                protocol.refuse_slow("head")
            elif protocol.body_is_late(now):
                protocol.refuse_slow("body")
            elif protocol.idle and (
                quiet_s > self._keep_alive_s or (self.draining and now - self._drain_began > LINGER_S)
            ):
                protocol.transport.close()

    async def close(self, now: float) -> None:
        """Accept what waits and then no more; tell the open connections to close with their next answer.

        A socket that is closed resets what waits in its queue. Where another process listens on the same
        one, its queue stays, and what was taken from it here is answered here.
        """
        self.draining = True
        self._drain_began = now
        if self.grpc is not None:
            self.grpc.close(now)
        self._tell_time()
        if self._server is not None and self._listening is not None:
            waiting = accept_waiting(self._listening)
            self._server.close()
            async with asyncio.TaskGroup() as tasks:
                for connection in waiting:
                    tasks.create_task(self._take(connection), name="last connection")
                if self.guard.tls.server is not None:  # handshakes that have begun may end
                    await asyncio.sleep(HANDSHAKE_GRACE_S)
        for protocol in list(self.server_state.connections):
            protocol.shutdown()

    async def _take(self, connection: socket.socket) -> None:
        more = self._tls()
        if more:
            more["ssl_handshake_timeout"] = LINGER_S
        with suppress(OSError):  # who does not come to terms by TLS was never let in
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: HttpProtocol(self), connection, **more
            )

    @property
    def connections(self) -> int:
        """Open client connections."""
        return len(self.server_state.connections)

    def is_empty(self, now: float) -> bool:
        """Whether every caller has gone, by either door."""
        return self.connections == 0 and (self.grpc is None or self.grpc.gone(now))

    def statistics(self, role: str, state: str, healthy: bool) -> ServerStatistics:
        """What the process shows whose listener it is."""
        return ServerStatistics(
            role=role,
            state=state,
            healthy=healthy,
            requests=self.outcomes.statistics(),
            grpc_requests={} if self.grpc is None else self.grpc.service.statistics(),
            key_requests={} if self.keys is None else dict(self.keys.counts),
            connections=self.connections,
            connections_max=self.connections_max,
            body_bytes_max=self.body_max,
            head_bytes_max=self.head_max,
            loop_lag=self.loop_lag.statistics(),
        )

    def _tls(self) -> dict[str, Any]:
        """What the loop needs to take a connection over TLS; nothing where it is plain."""
        context = self.guard.tls.server
        if context is None:
            return {}
        return {
            "ssl": context,
            "ssl_handshake_timeout": self._header_timeout_s,
            "ssl_shutdown_timeout": LINGER_S,
        }

    def _tell_time(self) -> None:
        headers = default_headers()
        # For the ordinary way; the fast path knows itself which answer is the last one of a connection.
        closing = [(b"connection", b"close")] if self.draining else []
        self.server_state.default_headers = headers + closing
        self.head = head_bytes(headers)
