"""What grpcio's threads do for a call: hand its message to the event loop, and sleep until it is answered."""

from __future__ import annotations

import asyncio
from functools import partial
from queue import Full, Queue
from threading import Event, Thread
from typing import TYPE_CHECKING

import grpc

from ringserve.limits import PIPELINE_MAX
from ringserve.net.cache_control import HEADER as CACHE_CONTROL
from ringserve.net.cache_control import wants_fresh
from ringserve.net.grpc_pages import SLOW
from ringserve.net.grpc_reply import Reply
from ringserve.net.grpc_service import (
    HEALTH_CHECK,
    HEALTH_WATCH,
    INFER,
    REFLECT,
    REFLECT_ALPHA,
    STREAM,
    GrpcService,
)
from ringserve.net.large_messages import takes_long
from ringserve.wire.oip_grpc import request_id_of, stream_answer, stream_error
from ringserve.wire.proto.messages import HEALTH, REFLECTION, REFLECTION_ALPHA, SERVICE, methods

if TYPE_CHECKING:
    from collections.abc import Iterator

    Handlers = dict[str, grpc.RpcMethodHandler]
    Waiting = Queue[tuple[Reply, bytes] | None]

_LOOK_S = 0.5
"""How often a thread looks up from a wait that the end of its call does not end."""
_DETAILS_MAX = 2000
"""Characters of an error's sentence: it travels in a header, and clients take 8 KB of those."""
_INFERENCES = (INFER, STREAM)
_CODES = {code.name: code for code in grpc.StatusCode}


def handlers_of(service: GrpcService) -> dict[str, Handlers]:
    """The handlers of all services, by the services' full names."""
    unary, stream = grpc.unary_unary_rpc_method_handler, grpc.stream_stream_rpc_method_handler
    infer: Handlers = {
        method.name: unary(partial(_answer, service, f"/{SERVICE}/{method.name}"))
        for method in methods(SERVICE)
        if not method.server_streaming
    }
    infer["ModelStreamInfer"] = stream(partial(_stream, service))
    watch = grpc.unary_stream_rpc_method_handler(partial(_watch, service))
    return {
        SERVICE: infer,
        HEALTH: {"Check": unary(partial(_answer, service, HEALTH_CHECK)), "Watch": watch},
        REFLECTION: {"ServerReflectionInfo": stream(partial(_reflect, service, REFLECT))},
        REFLECTION_ALPHA: {"ServerReflectionInfo": stream(partial(_reflect, service, REFLECT_ALPHA))},
    }


def _answer(service: GrpcService, method: str, data: bytes, context: grpc.ServicerContext) -> bytes:
    reply = _begin(service, method, data, context)
    if not context.add_callback(reply.left):
        reply.left()
    return _take(reply, context)


def _take(reply: Reply, context: grpc.ServicerContext) -> bytes:
    reply.wait()
    error = reply.error
    if error is None:
        return reply.body
    if error.retry_after_s is not None:
        pushback_ms = str(max(1, int(error.retry_after_s * 1000)))
        context.set_trailing_metadata((("grpc-retry-pushback-ms", pushback_ms),))
    details = error.message.encode("utf-8", "replace").decode()[:_DETAILS_MAX]
    context.abort(_CODES[error.grpc], details)  # raises
    raise error  # never reached: abort's type does not tell


def _watch(service: GrpcService, data: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
    """Tell the health now and at each change, until the caller leaves."""
    told, over = b"", Event()
    if not context.add_callback(over.set):
        return
    while not over.is_set():
        health = _take(_begin(service, HEALTH_WATCH, data, context), context)
        if health != told:
            told = health
            yield health
        over.wait(_LOOK_S)


def _reflect(
    service: GrpcService, method: str, requests: Iterator[bytes], context: grpc.ServicerContext
) -> Iterator[bytes]:
    for data in requests:
        yield _take(_begin(service, method, data, context), context)


def _begin(service: GrpcService, method: str, data: bytes, context: grpc.ServicerContext) -> Reply:
    reply = Reply(service, method, fresh=_wants_fresh(context))
    left_s = context.time_remaining()
    shown = _shown(context) if service.keyed else ()
    if method in SLOW:
        asyncio.run_coroutine_threadsafe(service.begin_slowly(method, data, shown, reply), service.loop)
    elif method in _INFERENCES and takes_long(data):
        asyncio.run_coroutine_threadsafe(service.begin_large(data, left_s, shown, reply), service.loop)
    else:
        service.loop.call_soon_threadsafe(service.begin, method, data, left_s, shown, reply)
    return reply


def _stream(
    service: GrpcService, requests: Iterator[bytes], context: grpc.ServicerContext
) -> Iterator[bytes]:
    """Answer in the order of the requests, many of which may be under way."""
    waiting: Waiting = Queue(PIPELINE_MAX)
    reader = Thread(target=_read, args=(service, requests, context, waiting), name="grpc-stream", daemon=True)
    reader.start()
    while (entry := waiting.get()) is not None:
        reply, data = entry
        reply.wait()
        if reply.error is None:
            yield stream_answer(reply.body)
        else:
            yield stream_error(reply.error.message, request_id_of(data))


def _read(
    service: GrpcService, requests: Iterator[bytes], context: grpc.ServicerContext, waiting: Waiting
) -> None:
    """Hand a stream's requests over as they come; when the call ends, take back what is under way."""
    open_replies: dict[int, Reply] = {}

    def take_back() -> None:
        for reply in list(open_replies.values()):
            reply.left()

    context.add_callback(take_back)
    try:
        for number, data in enumerate(requests):
            reply = _begin(service, STREAM, data, context)
            open_replies[number] = reply
            if number >= 2 * PIPELINE_MAX:
                open_replies.pop(number - 2 * PIPELINE_MAX, None)
            _put(waiting, (reply, data), context)
    except Exception:  # noqa: BLE001 - grpcio's own, which says only that the call is over
        take_back()
    finally:
        _put(waiting, None, context)


def _put(waiting: Waiting, entry: tuple[Reply, bytes] | None, context: grpc.ServicerContext) -> None:
    """Wait for room; whoever does not read its answers is not read from either."""
    while True:
        try:
            waiting.put(entry, timeout=_LOOK_S)
            return
        except Full:
            if not context.is_active():
                return


def _wants_fresh(context: grpc.ServicerContext) -> bool:
    """Whether the metadata say what Cache-Control says over HTTP."""
    return any(
        name == CACHE_CONTROL and isinstance(value, str) and wants_fresh(value)
        for name, value in context.invocation_metadata()
    )


def _shown(context: grpc.ServicerContext) -> list[tuple[bytes, bytes]]:
    """The metadata as headers."""
    return [
        (name.encode(), value if isinstance(value, bytes) else value.encode("latin-1", "replace"))
        for name, value in context.invocation_metadata()
    ]
