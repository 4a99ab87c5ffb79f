"""What gateway and worker show alike: the process, its listener and its event loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version

from ringserve.core.histogram import HistogramStatistics
from ringserve.observe.catalogue.metric import Kind, Metric, one_of

STATES = ("starting", "ready", "draining")


@cache
def _version() -> str:
    """Of what is installed; read where a scrape is written, since it takes a file or two."""
    return version("ringserve")


@dataclass(frozen=True, slots=True)
class ServerStatistics:
    """A serving process at one moment.

    Attributes:
        role: `gateway` or `worker`.
        state: One of `STATES`.
        healthy: Whether nothing hangs.
        requests: Requests over HTTP by route and outcome.
        grpc_requests: Requests over gRPC by method and status code; none where it is not served.
        key_requests: Requests let in, by label of their API key; none where no key is asked for.
        connections: Open client connections.
        connections_max: How many may be.
        body_bytes_max: The largest body.
        head_bytes_max: The largest head.
        loop_lag: Seconds by which the event loop came late to a timer.
    """

    role: str
    state: str
    healthy: bool
    requests: Mapping[tuple[str, str], int]
    grpc_requests: Mapping[tuple[str, str], int]
    key_requests: Mapping[str, int]
    connections: int
    connections_max: int
    body_bytes_max: int
    head_bytes_max: int
    loop_lag: HistogramStatistics


SERVER: tuple[Metric[ServerStatistics], ...] = (
    Metric(
        "ringserve_build_info",
        Kind.INFO,
        "What runs.",
        lambda s: [((s.role, _version()), 1)],
        ("role", "version"),
    ),
    Metric(
        "ringserve_state",
        Kind.GAUGE,
        "1 for the state the process is in, 0 for the others.",
        lambda s: one_of(STATES, s.state),
        ("state",),
    ),
    Metric(
        "ringserve_healthy",
        Kind.GAUGE,
        "0 while a run of the model is past the hang limit, else 1.",
        lambda s: float(s.healthy),
    ),
    Metric(
        "ringserve_http_requests_total",
        Kind.COUNTER,
        "Requests over HTTP by route and outcome: the status, or `left` where the caller closed the "
        "connection first. The route is `other` for every path that there is not, and `unread` for what "
        "was refused before its path was known.",
        lambda s: s.requests.items(),
        ("route", "outcome"),
    ),
    Metric(
        "ringserve_grpc_requests_total",
        Kind.COUNTER,
        "Requests over gRPC by method and status code, each message of a stream by itself; CANCELLED where "
        "the caller left. What grpcio refuses itself (an unknown method, a message that is too large, too "
        "many calls) is not among them, and there is nothing where gRPC is off (--grpc-port).",
        lambda s: s.grpc_requests.items(),
        ("method", "code"),
    ),
    Metric(
        "ringserve_key_requests_total",
        Kind.COUNTER,
        "Requests let in, by the label of their API key; nothing where none is asked for (--api-keys).",
        lambda s: (((label,), count) for label, count in s.key_requests.items()),
        ("key",),
    ),
    Metric("ringserve_connections", Kind.GAUGE, "Open client connections.", lambda s: s.connections),
    Metric(
        "ringserve_connections_max",
        Kind.GAUGE,
        "The most of them (--max-connections); more get 503.",
        lambda s: s.connections_max,
    ),
    Metric(
        "ringserve_body_bytes_max",
        Kind.GAUGE,
        "The largest request body (--max-body-mb); more gets 413.",
        lambda s: s.body_bytes_max,
    ),
    Metric(
        "ringserve_head_bytes_max",
        Kind.GAUGE,
        "The largest head of a request (--max-header-kb); more gets 431.",
        lambda s: s.head_bytes_max,
    ),
    Metric(
        "ringserve_event_loop_lag_seconds",
        Kind.HISTOGRAM,
        "By how much the event loop came late to a timer, measured twice a second; whole milliseconds of it "
        "are the timer's own.",
        lambda s: s.loop_lag,
    ),
)
