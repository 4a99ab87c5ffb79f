"""`GET /metrics`: a look at the statistics in the event loop, their text in a thread."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request

    from ringserve.net.backend import Backend
    from ringserve.observe.catalogue.roles import Snapshots

PATH = "/metrics"


def metrics_route(backend: Backend) -> Route:
    """The route of the page."""
    one_at_a_time = asyncio.Lock()

    async def show(request: Request) -> Response:
        accept = request.headers.get("accept", "")
        async with one_at_a_time:
            body, content_type = await asyncio.to_thread(_write, backend.metrics(monotonic()), accept)
        return Response(body, headers={"content-type": content_type})

    return Route(PATH, show, methods=["GET"])


def _write(snapshots: Snapshots, accept: str) -> tuple[bytes, str]:
    # Imported at the first scrape, and in this thread: neither a start nor a request waits for it.
    from ringserve.observe.exposition import exposition  # noqa: PLC0415

    return exposition(snapshots, accept)
