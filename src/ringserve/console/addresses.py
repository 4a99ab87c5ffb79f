"""Addresses as people type them on the command line."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from ringserve.errors import UsageError

PORT_MAX = 65535
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?")
_EXAMPLE = "expected HOST:PORT, such as localhost:8001 or [::1]:8001"


def parse_address(text: str) -> tuple[str, int]:
    """Split `HOST:PORT`; an IPv6 address stands in brackets, which are taken off.

    Raises:
        UsageError: It is no address.
    """
    if "://" in text:
        raise UsageError(f"{text!r}: {_EXAMPLE}, without a scheme in front")
    host, colon, port = text.rpartition(":")
    if not colon or not host:
        raise UsageError(f"{text!r}: {_EXAMPLE}")
    if not (port.isascii() and port.isdigit() and 1 <= int(port[:6]) <= PORT_MAX):
        raise UsageError(f"{text!r}: expected a port from 1 to {PORT_MAX} after the colon, got {port!r}")
    if host.startswith("[") and host.endswith("]"):
        return _ipv6(text, host[1:-1]), int(port)
    if ":" in host:
        raise UsageError(f"{text!r}: an IPv6 address stands in brackets, such as [::1]:8001")
    if not _NAME.fullmatch(host):
        raise UsageError(f"{text!r}: {host!r} is no host name; {_EXAMPLE}")
    return host.lower(), int(port)


def check_workers(addresses: Sequence[str]) -> None:
    """Check the gateway's list of workers.

    Raises:
        UsageError: It is empty, or one is no address, or two are the same.
    """
    if not addresses:
        raise UsageError(
            "no worker given; name each as HOST:PORT, such as `ringserve gateway localhost:8001`"
        )
    seen: dict[tuple[str, int], str] = {}
    for text in addresses:
        where = parse_address(text)
        if where in seen:
            raise UsageError(f"worker {text!r} is given twice; name each worker once")
        seen[where] = text


def _ipv6(text: str, inner: str) -> str:
    try:
        return str(ipaddress.IPv6Address(inner))
    except ValueError as error:
        raise UsageError(f"{text!r}: {inner!r} is no IPv6 address; {_EXAMPLE}") from error
