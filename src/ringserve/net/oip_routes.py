"""The Open Inference Protocol over HTTP: `/v2` and what is below it, on gateway and worker."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, cast

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Route

from ringserve.errors import ServeError
from ringserve.net.awaited_call import ask
from ringserve.net.cache_control import HEADER as CACHE_CONTROL
from ringserve.net.cache_control import wants_fresh
from ringserve.net.compression import pack, unpack
from ringserve.net.deadline_header import HEADER, deadline_of
from ringserve.net.json_size import HEADER as JSON_SIZE
from ringserve.net.json_size import json_size_of
from ringserve.net.key_ring import SALT
from ringserve.net.large_bodies import HeldBody
from ringserve.net.oip_pages import PAGES, SLOW_PAGES, served_model
from ringserve.net.oip_paths import PREFIX, Oip, OipPath, read_path
from ringserve.net.read_body import read_body
from ringserve.net.responses import error_response, json_response
from ringserve.wire import oip_pages

if TYPE_CHECKING:
    from starlette.requests import Request

    from ringserve.net.listener import Listener
    from ringserve.wire.oip_pages import Page
    from ringserve.wire.oip_rest import RestCodec, RestRequest

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
"""All come in, so that each path can tell the one it takes."""


def oip_route(listener: Listener) -> Route:
    """The one route that leads to all others: a model's name may hold a quoted slash."""

    async def serve(request: Request) -> Response:
        found = read_path(request.scope["raw_path"].decode("latin-1"))
        if found is None:
            raise HTTPException(404)
        method = "GET" if request.method == "HEAD" else request.method
        if method != found.route.method:
            raise HTTPException(405, headers={"allow": found.route.method})
        try:
            if found.route is Oip.INFER:
                return await _infer(request, listener, found)
            if found.route is Oip.INDEX:
                return await _index(request, listener, found)
            if found.route in SLOW_PAGES:
                status, page = await SLOW_PAGES[found.route](listener.backend, found)
            else:
                status, page = PAGES[found.route](listener.backend, found)
            return json_response(status, orjson.dumps(page))
        except ServeError as error:
            return error_response(error.without_frames())
        except ClientDisconnect:  # while the body was read: nobody is there to be told
            return error_response(ServeError("the caller left"))

    return Route(PREFIX + "{rest:path}", serve, methods=_METHODS)


async def _infer(request: Request, listener: Listener, found: OipPath) -> Response:
    now = monotonic()
    headers, backend = request.headers, listener.backend
    timeout = headers.get(HEADER)
    deadline = deadline_of(
        None if timeout is None else timeout.encode("latin-1"), now, backend.request_timeout_s
    )
    asked, codec = await _decode(request, listener, found, deadline)
    if asked.timeout_us:
        deadline = min(deadline, now + asked.timeout_us / 1e6)
    answer = await ask(
        backend,
        asked.signature,
        asked.payload,
        request.scope.get(SALT),
        received_at=now,
        deadline=deadline,
        receive=request.receive,
        fresh=wants_fresh(headers.get(CACHE_CONTROL, "")),
    )
    if answer.spec is not None and answer.spec is not codec.spec:
        codec = listener.rest_codec(answer.spec)
    body, json_size = codec.encode(asked, answer.result)
    own = {"content-type": "application/json"}
    if json_size is not None:
        own = {"content-type": "application/octet-stream", JSON_SIZE: str(json_size)}
    body, encoding = await pack(body, headers.get("accept-encoding", ""))
    if encoding:
        own["content-encoding"] = encoding
    return Response(body, headers=own)


async def _index(request: Request, listener: Listener, found: OipPath) -> Response:
    """All models, or those alone that are ready where the body says `{"ready": true}`; it may be empty."""
    held = HeldBody(listener.large_bodies)
    try:
        body = await read_body(request, listener.body_max, held)
    finally:
        held.let_go()
    _status, rows = PAGES[Oip.INDEX](listener.backend, found)
    return json_response(200, orjson.dumps(oip_pages.index_asked(cast("list[Page]", rows), body)))


async def _decode(
    request: Request, listener: Listener, found: OipPath, deadline: float
) -> tuple[RestRequest, RestCodec]:
    """Read the body and decode it; however large, nobody else waits for it."""
    json_size = json_size_of(request.headers.get(JSON_SIZE))
    held = HeldBody(listener.large_bodies)
    try:
        body = await read_body(request, listener.body_max, held)
        body = await unpack(body, request.headers.get("content-encoding", ""), listener.body_max)
        codec = listener.rest_codec(served_model(listener.backend, found))
        left_s = deadline - monotonic()
        bodies = listener.large_bodies
        return await bodies.decode_rest(codec, body, json_size, found.version, left_s), codec
    finally:
        held.let_go()
