"""Links that are kept: connected, and connected again when they are lost."""

from __future__ import annotations

import asyncio
import logging
from time import monotonic
from typing import TYPE_CHECKING, Any

from ringserve.net.link_client import LinkClient
from ringserve.net.link_opening import NotReady, Unanswered, complaint_of
from ringserve.wire.frames import LinkError

if TYPE_CHECKING:
    from ringserve.core.router.brain import Router
    from ringserve.net.guard import Guard

log = logging.getLogger(__name__)
BACKOFF_FIRST_S = 0.05
BACKOFF_MAX_S = 1.0
NOT_READY_RETRY_S = 0.1


def split_address(address: str) -> tuple[str, int]:
    """Host and port of `host:port` or `[v6]:port`."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


async def keep_link(
    router: Router,
    index: int,
    address: str,
    links: dict[int, LinkClient],
    timeout_s: float,
    guard: Guard | None = None,
) -> None:
    """Hold a link to a worker for ever: connect, wait until it is lost, connect again with back-off.

    Args:
        router: Who is told.
        index: The worker's place in the router.
        address: Its HOST:PORT, as typed: over TLS its certificate must be for this host.
        links: Where the link is put.
        timeout_s: How long one attempt may take.
        guard: Knows the fleet's secret and the certificates; None where there are none.
    """
    loop = asyncio.get_running_loop()
    host, port = split_address(address)
    backoff_s = BACKOFF_FIRST_S
    told, unanswered = "", 0
    while True:
        secret = None if guard is None or guard.secret is None else guard.secret.value
        more = _tls(guard, host)
        link = LinkClient(router, index, address, secret)
        links[index] = link
        try:
            async with asyncio.timeout(timeout_s):
                await loop.create_connection(lambda link=link: link, host, port, **more)  # type: ignore[misc]
                await link.greeted
        except NotReady:
            await asyncio.sleep(NOT_READY_RETRY_S)
            continue
        except (OSError, LinkError, TimeoutError) as error:
            if not link.up:
                link.abort()
                log.debug("no link to %s: %s", address, error)
                unanswered = unanswered + 1 if isinstance(error, Unanswered) else 0
                if (complaint := complaint_of(error, unanswered, tls=bool(more))) and complaint != told:
                    told = complaint
                    log.warning("no link to the worker at %s: %s", address, complaint)
                router.connect_failed(index, monotonic(), refused=isinstance(error, ConnectionRefusedError))
                await asyncio.sleep(backoff_s)
                backoff_s = min(BACKOFF_MAX_S, backoff_s * 2)
                continue
        backoff_s = BACKOFF_FIRST_S
        told, unanswered = "", 0
        await link.closed


def _tls(guard: Guard | None, host: str) -> dict[str, Any]:
    """What the loop needs to connect over TLS; nothing where links are plain."""
    context = None if guard is None else guard.tls.client
    if context is None:
        return {}
    return {"ssl": context, "server_hostname": host, "ssl_shutdown_timeout": BACKOFF_MAX_S}
