"""Who may come in at a process's doors, and how they are kept shut to others."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ringserve.core.exposure import Doors, warning_of
from ringserve.errors import Forbidden
from ringserve.net.fleet_secret import Challenge, fleet_secret
from ringserve.net.key_ring import KeyRing
from ringserve.net.listening import is_loopback
from ringserve.net.tls import Tls

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable

    from ringserve.settings import Settings

OPEN_PATHS = (b"/health", b"/v2/health/live", b"/v2/health/ready")
"""What needs no key: whoever watches or balances servers asks for it, and it names no caller's data."""


class Guard:
    """What a process asks of whoever comes, read from files and kept up to date.

    Attributes:
        tls: The contexts of listener and links.
        keys: The API keys; None where none is asked for.
        secret: The fleet's secret; None where none is asked for.
    """

    def __init__(self, settings: Settings) -> None:
        """Read all files that the settings name.

        Raises:
            UsageError: One cannot be used, or the flags contradict each other.
        """
        self.tls = Tls(settings)
        salted = settings.cache_scope == "key"
        self.keys = KeyRing(settings.api_keys, salted=salted) if settings.api_keys else None
        self.secret = fleet_secret(settings)

    def refresh(self) -> None:
        """Read again what has changed. Call about once a second."""
        self.tls.refresh()
        if self.keys is not None:
            self.keys.refresh()
        if self.secret is not None:
            self.secret.refresh()

    def challenge(self, headers: Iterable[tuple[bytes, bytes]]) -> Challenge | None:
        """What whoever asks for a link with these headers must prove; None where that is nothing.

        Raises:
            Forbidden: No link is opened for it. Where callers need a key a link without proof is refused:
                it would be a way around the keys.
        """
        if self.secret is not None:
            return self.secret.challenge(headers)
        if self.keys is not None:
            raise Forbidden(
                "this server asks for API keys, and a link would go around them; "
                "give it and its gateways the same --fleet-secret"
            )
        return None

    def warning(self, host: str, *, takes_links: bool) -> str | None:
        """What to say where `host` is reached from other machines; None where every door is kept."""
        known = self.tls.clients_known
        doors = Doors(
            tls=self.tls.server is not None,
            callers_known=self.keys is not None or known,
            links=takes_links,
            gateways_known=self.secret is not None or self.keys is not None or known,
        )
        return warning_of(doors, host)


def warn_if_open(guard: Guard, listening: socket.socket, *, takes_links: bool) -> None:
    """Say loudly, in one line, what a server leaves open that other machines can reach."""
    host = listening.getsockname()[0]
    sentence = None if is_loopback(host) else guard.warning(host, takes_links=takes_links)
    if sentence is not None:
        print(f"ringserve: {sentence}", file=sys.stderr, flush=True)  # noqa: T201 - loud at any log level


def is_open(url: bytes) -> bool:
    """Whether a request line leads to what needs no key, by whatever way it is read."""
    return url.partition(b"?")[0] in OPEN_PATHS
