"""What a server that others can reach leaves open, in one line."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """How a server's doors are closed.

    Attributes:
        tls: Whether what is sent is encrypted.
        callers_known: Whether callers must show an API key or a certificate.
        links: Whether gateways open links here.
        gateways_known: Whether a gateway must prove the fleet's secret or show a certificate.
    """

    tls: bool
    callers_known: bool
    links: bool
    gateways_known: bool


def warning_of(doors: Doors, host: str) -> str | None:
    """What to say at the start of a server that listens beyond this machine; None where all is closed.

    Args:
        doors: How its doors are closed.
        host: The address it listens on.
    """
    missing = []
    if not doors.tls:
        missing.append("TLS (--tls-cert, --tls-key): whoever is on the way can read and change what is sent")
    if not doors.callers_known:
        missing.append("API keys (--api-keys): whoever reaches it can use it")
    if doors.links and not doors.gateways_known:
        missing.append("a fleet secret (--fleet-secret): whoever reaches it can open a link")
    if not missing:
        return None
    return f"WARNING: {host} can be reached from other machines, without {'; without '.join(missing)}"
