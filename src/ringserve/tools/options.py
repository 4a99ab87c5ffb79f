"""What `ringserve bench` and `ringserve diagnose` can be told, with the defaults, once."""

from __future__ import annotations

from dataclasses import dataclass

GATEWAY_DEFAULT = "http://localhost:8000"
WORKERS_DEFAULT = ("http://localhost:8001", "http://localhost:8002", "http://localhost:8003")


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchOptions:
    """The options of `ringserve bench`: names and defaults of the C++ reference design, and a few more.

    Attributes:
        gateway: The gateway's URL.
        requests: How many requests are sent in all; in a cache test, in each of the two passes. At least 1.
        threads: Client threads, each with one connection of its own. At least 1.
        workers: The workers' URLs, for their statistics; empty: those that the gateway names in `/stats`.
        cache_test: Send the same distinct inputs twice and show both passes side by side.
        no_stats: Leave out the workers' statistics.
        as_json: Print the whole report as one JSON object on standard output, and nothing else there.
        timeout_s: How long one request may take; it is then counted as failed, never repeated.
        time_limit_s: How long the whole run may take; what was not sent by then is counted as not sent.
        seed: Makes the inputs repeatable; None: always the same ones, in a cache test fresh ones each time.
    """

    gateway: str = GATEWAY_DEFAULT
    requests: int = 1000
    threads: int = 10
    workers: tuple[str, ...] = ()
    cache_test: bool = False
    no_stats: bool = False
    as_json: bool = False
    timeout_s: float = 30.0
    time_limit_s: float = 600.0
    seed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnoseOptions:
    """The options of `ringserve diagnose`.

    Attributes:
        gateway: The gateway's URL.
        workers: The workers' URLs.
        timeout_s: How long one server may take for one question.
    """

    gateway: str = GATEWAY_DEFAULT
    workers: tuple[str, ...] = WORKERS_DEFAULT
    timeout_s: float = 5.0
