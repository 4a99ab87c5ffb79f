"""The ordinary way: an ASGI app for every request that the fast path does not take."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Route

from ringserve.errors import ServeError
from ringserve.net.awaited_call import ask
from ringserve.net.cache_control import HEADER as CACHE_CONTROL
from ringserve.net.cache_control import wants_fresh
from ringserve.net.compression import unpack
from ringserve.net.deadline_header import HEADER, deadline_of
from ringserve.net.key_ring import SALT
from ringserve.net.large_bodies import HeldBody
from ringserve.net.metrics_page import metrics_route
from ringserve.net.oip_routes import oip_route
from ringserve.net.read_body import read_body
from ringserve.net.replies import error_body
from ringserve.net.responses import error_response, json_response

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from ringserve.net.backend import Backend, Page
    from ringserve.net.listener import Listener
    from ringserve.wire.infer_json import InferCodec, InferRequest


def build_app(listener: Listener) -> Starlette:
    """The app of one listener."""
    backend = listener.backend

    async def infer(request: Request) -> Response:
        try:
            return json_response(200, await _infer(request, listener, backend))
        except ServeError as error:
            return error_response(error.without_frames())  # see fast_path: it would hold the body
        except ClientDisconnect:  # while the body was read: nobody is there to be told
            return error_response(ServeError("the caller left"))

    routes = [Route(path, _page(page), methods=["GET"]) for path, page in backend.pages.items()]
    routes.append(metrics_route(backend))
    routes.append(Route("/infer", infer, methods=["POST"]))
    routes.append(oip_route(listener))
    return Starlette(routes=routes, exception_handlers={HTTPException: _http_error, Exception: _crash})


async def _infer(request: Request, listener: Listener, backend: Backend) -> bytes:
    now = monotonic()
    header = request.headers.get(HEADER)
    deadline = deadline_of(
        None if header is None else header.encode("latin-1"), now, backend.request_timeout_s
    )
    asked, codec = await _decode(request, listener, deadline)
    result, node_id, cached, time_us, _spec = await ask(
        backend,
        asked.signature,
        asked.payload,
        request.scope.get(SALT),
        received_at=now,
        deadline=deadline,
        receive=request.receive,
        fresh=wants_fresh(request.headers.get(CACHE_CONTROL, "")),
    )
    request_id = asked.request_id if asked.request_id is not None else listener.new_request_id()
    return codec.encode(result, request_id, node_id, cached, time_us)


async def _decode(request: Request, listener: Listener, deadline: float) -> tuple[InferRequest, InferCodec]:
    """Read the body and decode it; however large, nobody else waits for it."""
    held = HeldBody(listener.large_bodies)
    try:
        body = await read_body(request, listener.body_max, held)
        body = await unpack(body, request.headers.get("content-encoding", ""), listener.body_max)
        left_s = deadline - monotonic()
        codec, asked = await listener.large_bodies.decode(listener.backend.codec, body, left_s)
        return asked, codec
    finally:
        held.let_go()


def _page(page: Page) -> Callable[[Request], Response]:
    def show(_request: Request) -> Response:
        status, content = page()
        return json_response(status, orjson.dumps(content))

    async def endpoint(request: Request) -> Response:
        return show(request)

    return endpoint  # type: ignore[return-value]


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path[:200]
    if error.status_code == 404:  # noqa: PLR2004
        sentence = f"there is no route {path}"
    elif error.status_code == 405:  # noqa: PLR2004
        sentence = f"{path} does not take {request.method}"
    else:
        sentence = error.detail
    answer = json_response(error.status_code, error_body(sentence))
    for name, value in (error.headers or {}).items():
        answer.headers[name] = value
    return answer


async def _crash(_request: Request, _error: Exception) -> Response:
    return json_response(500, error_body("the server failed on this request; its log says why"))
