"""Where a client's requests go, and what all of them carry."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Target:
    """A server.

    Attributes:
        host: Its name or address.
        port: Its port.
        prefix: The path before `/v2`; empty or begins with a slash.
        headers: What each request carries, each with its line's end.
        tls: How TLS is spoken with it; None where it is not.
    """

    host: str
    port: int
    prefix: str
    headers: bytes
    tls: ssl.SSLContext | None

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def target_of(url: str, api_key: str | None, tls: ssl.SSLContext | None) -> Target:
    """Read what a person gives.

    Args:
        url: Such as `http://127.0.0.1:8000`; a path is put before those of the protocol.
        api_key: Shown with each request; None for none.
        tls: How an https URL is spoken to; None for the system's authorities.

    Raises:
        ValueError: The URL is none of a server, the key cannot be a header, or TLS goes with http.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"{url!r} is no URL: {error}") from None
    secure = parts.scheme == "https"
    if parts.scheme not in {"http", "https"} or not host or parts.query or parts.fragment or parts.username:
        raise ValueError(f"{url!r} is no URL of a server; write it like http://127.0.0.1:8000")
    if not (parts.path.isascii() and parts.path.isprintable() and " " not in parts.path):
        raise ValueError(f"the path of {url!r} must be percent-quoted")
    if tls is not None and not secure:
        raise ValueError(f"tls is given, but {url!r} is no https URL")
    if api_key is not None and not (api_key and api_key.isascii() and api_key.isprintable()):
        raise ValueError("the API key must be printable ASCII, and not empty")
    host = host if host.isascii() else host.encode("idna").decode()
    shown = f"[{host}]" if ":" in host else host
    lines = [f"Host: {shown}" + (f":{port}" if port else ""), "User-Agent: ringserve"]
    if api_key is not None:
        lines.append(f"Authorization: Bearer {api_key}")
    context = (tls or ssl.create_default_context()) if secure else None
    headers = "".join(f"{line}\r\n" for line in lines).encode()
    return Target(host, port or (443 if secure else 80), parts.path.rstrip("/"), headers, context)
