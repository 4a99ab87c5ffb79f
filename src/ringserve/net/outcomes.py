"""How requests over HTTP ended: one count for each route and outcome, an addition each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringserve.net.oip_paths import PREFIX, read_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LEFT = 0
"""The place of callers who left before their answer; every other place is an HTTP status."""
OTHER = "other"
"""The route of every path that leads nowhere: a stranger must not make as many labels as there are paths."""
UNREAD = "unread"
"""The route of what was refused before its path was known."""
COUNTED = "ringserve.counted"
"""A note on a scope whose request was refused, and counted, while the app read its body."""
_PLACES = 600


class Outcomes:
    """Counts of one listener. `of(path)[status] += 1` counts; so does `of(path)[LEFT] += 1`."""

    def __init__(self, routes: Iterable[str]) -> None:
        """Count by these routes."""
        self._counts = {route: [0] * _PLACES for route in (*routes, OTHER, UNREAD)}

    def of(self, path: str) -> list[int]:
        """The counts of the route that this path leads to, quoted as it came."""
        counts = self._counts.get(path)
        if counts is None and path.startswith(PREFIX) and (found := read_path(path)) is not None:
            counts = self._counts.get(found.route.template)
        return counts or self._counts[OTHER]

    def of_url(self, url: bytes) -> list[int]:
        """The counts of the route that this request line leads to; empty where none was read yet."""
        return self.of(url.partition(b"?")[0].decode("latin-1")) if url else self._counts[UNREAD]

    def statistics(self) -> Mapping[tuple[str, str], int]:
        """By route and outcome; each route shows its 200, so that no series begins with its first request."""
        return {
            (route, str(place) if place else "left"): count
            for route, counts in self._counts.items()
            for place, count in enumerate(counts)
            if count or (place == 200 and route not in (OTHER, UNREAD))  # noqa: PLR2004
        }


class Counted:
    """An app whose answers are counted."""

    def __init__(self, app: ASGIApp, outcomes: Outcomes) -> None:
        """Wrap the app."""
        self._app = app
        self._outcomes = outcomes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request of uvicorn's ordinary way."""
        counts = self._outcomes.of(scope["raw_path"].decode("latin-1"))
        left = False

        async def receive_and_look() -> Message:
            nonlocal left
            message = await receive()
            left = left or message["type"] == "http.disconnect"
            return message

        async def count_and_send(message: Message) -> None:
            if message["type"] == "http.response.start" and COUNTED not in scope:
                counts[LEFT if left else message["status"]] += 1
            await send(message)

        await self._app(scope, receive_and_look, count_and_send)
