"""Where a server listens, as a person types it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from ringserve.errors import UsageError


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens."""

    host: str
    port: int
    tls: bool = False

    @property
    def url(self) -> str:
        """The server's URL."""
        return f"{'https' if self.tls else 'http'}://{self}"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address_of(url: str, flag: str) -> Address:
    """Read `http://host:port`, `https://host:port`, `host:port` or `host`.

    Args:
        url: What the user typed, or what a gateway calls its worker.
        flag: The flag it came from, for the error.

    Raises:
        UsageError: It is none of these.
    """
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        tls = parts.scheme == "https"
        host, port = parts.hostname, parts.port if parts.port is not None else 443 if tls else 80
    except ValueError:
        tls, host, port, parts = False, None, 0, urlsplit("")
    if (
        parts.scheme not in {"http", "https"}
        or not host
        or not port
        or parts.path not in {"", "/"}
        or parts.query
    ):
        raise UsageError(f"{flag}: {url!r} is no URL of a server; write it like http://localhost:8000")
    return Address(host, port, tls)
