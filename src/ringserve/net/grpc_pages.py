"""The methods of gRPC that infer nothing: pages of `/v2`, whose names are those of the messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.json_format import ParseDict
from google.protobuf.message import DecodeError, Message

from ringserve.errors import BadRequest, NotFound, NotReady
from ringserve.net.oip_pages import PAGES, SLOW_PAGES
from ringserve.net.oip_paths import Oip, OipPath
from ringserve.wire.proto.messages import HEALTH, SERVICE, message, methods

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from google.protobuf.descriptor import MethodDescriptor

    from ringserve.net.backend import Backend

    Answer = Callable[[Backend, Message], object]
    SlowAnswer = Callable[[Backend, Message], Awaitable[object]]

_OK = 200
_HealthRequest = message(f"{HEALTH.rpartition('.')[0]}.HealthCheckRequest")
_HealthResponse = message(f"{HEALTH.rpartition('.')[0]}.HealthCheckResponse")


def watched(backend: Backend, data: bytes) -> bytes:
    """One message of Watch: as of Check, but that an unknown name is no error."""
    asked = _read(_HealthRequest, data)
    return bytes(_HealthResponse(status=_health_of(backend, asked.service)).SerializeToString())


def _health_of(backend: Backend, service: str) -> str:
    """What grpc.health.v1 says of a model, or of the whole server where none is named."""
    if service in ("", SERVICE):
        page = PAGES[Oip.READY](backend, OipPath(Oip.READY))
    else:
        try:
            page = PAGES[Oip.MODEL_READY](backend, OipPath(Oip.MODEL_READY, service))
        except NotFound:
            return "SERVICE_UNKNOWN"
    return "SERVING" if page[0] == _OK else "NOT_SERVING"


def _page(route: Oip, backend: Backend, name: str = "", version: str = "") -> object:
    status, page = PAGES[route](backend, OipPath(route, name, version))
    if status != _OK:
        raise NotReady(str(page.get("error", "not ready")) if isinstance(page, dict) else "not ready")
    return page


def _of_model(route: Oip) -> Answer:
    return lambda backend, asked: _page(route, backend, asked.name, asked.version)


def _server_ready(backend: Backend, _asked: Message) -> object:
    return {"ready": _health_of(backend, "") == "SERVING"}


def _model_ready(backend: Backend, asked: Message) -> object:
    path = OipPath(Oip.MODEL_READY, asked.name, asked.version)
    return {"ready": PAGES[Oip.MODEL_READY](backend, path)[0] == _OK}


def _config(backend: Backend, asked: Message) -> object:
    return {"config": _page(Oip.CONFIG, backend, asked.name, asked.version)}


def _index(backend: Backend, asked: Message) -> object:
    rows = _page(Oip.INDEX, backend)
    assert isinstance(rows, list)
    return {"models": [row for row in rows if row["state"] == "READY" or not asked.ready]}


async def _statistics(backend: Backend, asked: Message) -> object:
    route = Oip.STATISTICS if asked.name else Oip.ALL_STATISTICS
    _status, page = await SLOW_PAGES[route](backend, OipPath(route, asked.name, asked.version))
    return page


def _control(route: Oip) -> SlowAnswer:
    async def control(backend: Backend, asked: Message) -> object:
        # KServe's messages have the model's name where Triton's have that of the repository.
        name = asked.model_name or asked.repository_name
        if not name:
            raise BadRequest("the request names no model; send its name as model_name")
        _status, page = await SLOW_PAGES[route](backend, OipPath(route, name))
        return page

    return control


def _health(backend: Backend, asked: Message) -> object:
    status = _health_of(backend, asked.service)
    if status == "SERVICE_UNKNOWN":
        raise NotFound(f"there is no model {asked.service!r} here")
    return {"status": status}


_ANSWERS: dict[str, Answer] = {
    "ServerLive": lambda _backend, _asked: {"live": True},
    "ServerReady": _server_ready,
    "ModelReady": _model_ready,
    "ServerMetadata": lambda backend, _asked: _page(Oip.SERVER, backend),
    "ModelMetadata": _of_model(Oip.MODEL),
    "ModelConfig": _config,
    "RepositoryIndex": _index,
    "Check": _health,
}

_SLOW_ANSWERS: dict[str, SlowAnswer] = {
    "ModelStatistics": _statistics,
    "RepositoryModelLoad": _control(Oip.LOAD),
    "RepositoryModelUnload": _control(Oip.UNLOAD),
}


def _read(kind: type[Message], data: bytes) -> Message:
    try:
        found: Message = kind.FromString(data)
    except DecodeError as error:
        raise BadRequest(f"the message is no {kind.DESCRIPTOR.name}: {error}") from error
    return found


def _bound(answer: Answer, method: MethodDescriptor) -> Callable[[Backend, bytes], bytes]:
    request, response = message(method.input_type.full_name), message(method.output_type.full_name)

    def show(backend: Backend, data: bytes) -> bytes:
        page = answer(backend, _read(request, data))
        return bytes(ParseDict(page, response(), ignore_unknown_fields=True).SerializeToString())

    return show


def _bound_slow(answer: SlowAnswer, method: MethodDescriptor) -> Callable[[Backend, bytes], Awaitable[bytes]]:
    request, response = message(method.input_type.full_name), message(method.output_type.full_name)

    async def show(backend: Backend, data: bytes) -> bytes:
        page = await answer(backend, _read(request, data))
        return bytes(ParseDict(page, response(), ignore_unknown_fields=True).SerializeToString())

    return show


PLAIN = {
    f"/{service}/{method.name}": _bound(_ANSWERS[method.name], method)
    for service in (SERVICE, HEALTH)
    for method in methods(service)
    if method.name in _ANSWERS
}
"""By path: reads the request's message, shows the answer's."""

SLOW = {
    f"/{SERVICE}/{method.name}": _bound_slow(_SLOW_ANSWERS[method.name], method)
    for method in methods(SERVICE)
    if method.name in _SLOW_ANSWERS
}
"""The same of what takes its time."""
