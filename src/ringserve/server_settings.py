"""The settings that every server takes alike: its connections, who may come in, how it stops, what it says.

They are part of `settings.Settings`, which says how the table is made.
"""

from __future__ import annotations

from dataclasses import dataclass

from ringserve.flag import flag

MIB = 1 << 20
"""Bytes in what this program calls a megabyte."""

COMMANDS = ("worker", "gateway", "up")
"""The commands that take settings; `ringserve config` takes those of all."""

_GATEWAY = ("gateway", "up")
_ALL = COMMANDS

GROUPS = (
    "Addresses", "Fleet", "Models", "Batching", "Cache", "Engine", "Queue and deadlines", "Ring and failover",
    "Connections", "Security", "Stopping", "Logs",
)  # fmt: skip
"""The headings, in the order in which they are shown."""
_HTTP, _SECURITY, _STOP, _LOG = GROUPS[-4:]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """What a server is set to, whatever it serves."""

    max_body_mb: float = flag(
        64.0,
        _HTTP,
        _ALL,
        "The largest request body, after decompression; for `up`, the gateway's. More gets 413.",
        unit="MB",
        low=0.001,
        high=2048,
    )
    max_connections: int = flag(
        10_000,
        _HTTP,
        _ALL,
        "The most open client connections; more get 503 and are closed.",
        unit="connections",
        low=1,
        high=10_000_000,
    )
    max_header_kb: int = flag(
        64, _HTTP, _ALL, "The largest head of a request; more gets 431.", unit="KB", low=1, high=65_536
    )
    header_timeout_s: float = flag(
        10.0,
        _HTTP,
        _ALL,
        "How long the head of a request may take to arrive.",
        unit="s",
        low=0.05,
        high=86_400,
    )
    body_timeout_s: float = flag(
        30.0, _HTTP, _ALL, "How long a request's body may take; 16 KB/s buy it more time.", unit="s", low=0.05
    )
    keep_alive_s: float = flag(
        75.0, _HTTP, _ALL, "How long an idle connection is kept open.", unit="s", low=0.05, high=86_400
    )

    tls_cert: str = flag(
        "",
        _SECURITY,
        _ALL,
        "This server's certificate (PEM, with its chain): it then speaks TLS; for `up`, the gateways'.",
        path=True,
    )
    tls_key: str = flag("", _SECURITY, _ALL, "The key of that certificate (PEM, not encrypted).", path=True)
    tls_ca: str = flag(
        "",
        _SECURITY,
        _ALL,
        "The authorities (PEM) by which the certificates of callers and of a gateway's workers are verified.",
        path=True,
    )
    tls_clients: str = flag(
        "auto",
        _SECURITY,
        _ALL,
        "Whether callers must show a certificate; auto: where there is --tls-ca.",
        choices=("auto", "required", "off"),
    )
    link_tls: str = flag(
        "auto",
        _SECURITY,
        _GATEWAY,
        "Whether links to workers are TLS. auto: where there is --tls-ca; on without it: by the system's "
        "authorities. For `up`, auto: where its workers listen beyond this machine and there is --tls-cert.",
        choices=("auto", "on", "off"),
    )
    api_keys: str = flag(
        "",
        _SECURITY,
        _ALL,
        "The file of API keys; everything but /health then needs one. `ringserve key` makes them. For `up`, "
        "the gateways', and the workers' where those listen beyond this machine.",
        path=True,
    )
    cache_scope: str = flag(
        "shared",
        _SECURITY,
        _ALL,
        "Who shares remembered answers. key: only callers with the same key's label, so that nobody learns "
        "from the time of an answer what others asked.",
        choices=("shared", "key"),
    )
    fleet_secret: str = flag(
        "",
        _SECURITY,
        _ALL,
        "The file of the secret that gateways and workers prove to each other; `up` makes one of its own "
        "where it asks callers for keys or certificates.",
        path=True,
    )

    drain_grace_s: float = flag(
        0.0,
        _STOP,
        _ALL,
        "How long a stopping server still takes everything while health checks already get 503; for `up`, "
        "the gateway's.",
        unit="s",
        high=86_400,
    )
    drain_timeout_s: float = flag(
        30.0,
        _STOP,
        _ALL,
        "The longest wait for accepted work when stopping; what is left gets 503.",
        unit="s",
        high=86_400,
    )

    log_level: str = flag(
        "info",
        _LOG,
        _ALL,
        "The least important lines to show.",
        choices=("debug", "info", "warning", "error"),
    )

    @property
    def max_body_bytes(self) -> int:
        """The largest request body, in bytes."""
        return int(self.max_body_mb * MIB)
