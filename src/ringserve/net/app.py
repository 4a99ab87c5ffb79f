"""The ordinary way: an ASGI app for every request that the fast path does not take."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Route

from ringserve.core.call import Call
from ringserve.errors import ServeError, TooLarge
from ringserve.net.deadline_header import HEADER, deadline_of
from ringserve.net.key_ring import SALT
from ringserve.net.large_bodies import BodiesFull, HeldBody
from ringserve.net.metrics_page import metrics_route
from ringserve.net.replies import error_body, headers_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.requests import Request
    from starlette.types import Receive

    from ringserve.core.signature import Result
    from ringserve.net.backend import Backend, Page
    from ringserve.net.listener import Listener
    from ringserve.wire.infer_json import InferCodec, InferRequest


DISCARDED_MAX = 4 << 20
DISCARD_S = 0.5
"""Bytes beyond the limit, and seconds, for which a body is read and thrown away before its 413."""


class AwaitedCall(Call):
    """A call whose caller waits in a coroutine; `outcome` is what it waits for."""

    __slots__ = ("outcome",)

    def answer(self, result: Result, node_id: str, cached: bool, time_us: int) -> None:
        """Wake the coroutine with the result."""
        if not self.outcome.done():
            self.outcome.set_result((result, node_id, cached, time_us))

    def fail(self, error: ServeError) -> None:
        """Wake the coroutine with the error."""
        if not self.outcome.done():
            self.outcome.set_exception(error)

    outcome: asyncio.Future[tuple[Result, str, bool, int]]


def build_app(listener: Listener) -> Starlette:
    """The app of one listener."""
    backend = listener.backend

    async def infer(request: Request) -> Response:
        try:
            return _json(200, await _infer(request, listener, backend))
        except ServeError as error:
            return _error(error.without_frames())  # see fast_path: it would hold the body
        except ClientDisconnect:  # while the body was read: nobody is there to be told
            return _error(ServeError("the caller left"))

    routes = [Route(path, _page(page), methods=["GET"]) for path, page in backend.pages.items()]
    routes.append(metrics_route(backend))
    routes.append(Route("/infer", infer, methods=["POST"]))
    return Starlette(routes=routes, exception_handlers={HTTPException: _http_error, Exception: _crash})


async def _infer(request: Request, listener: Listener, backend: Backend) -> bytes:
    now = monotonic()
    header = request.headers.get(HEADER)
    deadline = deadline_of(
        None if header is None else header.encode("latin-1"), now, backend.request_timeout_s
    )
    asked, codec = await _decode(request, listener, deadline)
    key = asked.signature.digest(asked.payload, request.scope.get(SALT))
    call = AwaitedCall(key, asked.signature, asked.payload, now, deadline)
    call.outcome = asyncio.get_running_loop().create_future()
    backend.submit(call, monotonic())
    async with asyncio.TaskGroup() as tasks:
        watcher = tasks.create_task(_watch(request.receive, backend, call), name="caller-watch")
        try:
            await asyncio.wait([call.outcome])
        finally:
            watcher.cancel()
    result, node_id, cached, time_us = call.outcome.result()
    request_id = asked.request_id if asked.request_id is not None else listener.new_request_id()
    return codec.encode(result, request_id, node_id, cached, time_us)


async def _decode(request: Request, listener: Listener, deadline: float) -> tuple[InferRequest, InferCodec]:
    """Read the body and decode it; however large, nobody else waits for it."""
    held = HeldBody(listener.large_bodies)
    try:
        body = await _read(request, listener.body_max, held)
        codec = listener.backend.codec()
        left_s = deadline - monotonic()
        return await listener.large_bodies.decode(codec, body, left_s), codec
    finally:
        held.let_go()


async def _watch(receive: Receive, backend: Backend, call: AwaitedCall) -> None:
    """Take the call back when the caller leaves."""
    while (await receive())["type"] != "http.disconnect":
        pass
    if not call.outcome.done():
        backend.cancel(call)
        call.outcome.set_exception(ServeError("the caller left"))


async def _read(request: Request, bytes_max: int, held: HeldBody) -> bytes:
    """Read the body, which may come in chunks of unknown sum."""
    parts: list[bytes] = []
    stream = request.stream()
    try:
        async for part in stream:
            held.grow(len(part), bytes_max)
            parts.append(part)
    except (TooLarge, BodiesFull):
        parts.clear()
        with suppress(TimeoutError):  # whoever still sends then is closed upon
            async with asyncio.timeout(DISCARD_S):
                await _discard(stream)
        raise
    return b"".join(parts)


async def _discard(stream: AsyncIterator[bytes]) -> None:
    """Read on and throw away, so that a caller who still sends comes to read the answer."""
    size = 0
    async for part in stream:
        size += len(part)
        if size > DISCARDED_MAX:
            return


def _page(page: Page) -> Callable[[Request], Response]:
    def show(_request: Request) -> Response:
        status, content = page()
        return _json(status, orjson.dumps(content))

    async def endpoint(request: Request) -> Response:
        return show(request)

    return endpoint  # type: ignore[return-value]


def _json(status: int, body: bytes, error: ServeError | None = None) -> Response:
    headers = {name.decode(): value.decode() for name, value in headers_of(body, error)}
    if isinstance(error, TooLarge | BodiesFull):
        headers["connection"] = "close"
    return Response(body, status, headers)


def _error(error: ServeError) -> Response:
    return _json(error.status, error_body(error.message), error)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path[:200]
    if error.status_code == 404:  # noqa: PLR2004
        sentence = f"there is no route {path}"
    elif error.status_code == 405:  # noqa: PLR2004
        sentence = f"{path} does not take {request.method}"
    else:
        sentence = error.detail
    answer = _json(error.status_code, error_body(sentence))
    for name, value in (error.headers or {}).items():
        answer.headers[name] = value
    return answer


async def _crash(_request: Request, _error: Exception) -> Response:
    return _json(500, error_body("the server failed on this request; its log says why"))
