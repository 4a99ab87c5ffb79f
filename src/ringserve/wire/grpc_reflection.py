"""Server reflection: what services there are and the descriptors of their files, for tools like grpcurl."""

from __future__ import annotations

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.message import DecodeError, Message

from ringserve.errors import BadRequest
from ringserve.wire.proto.messages import HEALTH, POOL, REFLECTION, REFLECTION_ALPHA, SERVICE, message

SERVICES = (SERVICE, HEALTH, REFLECTION, REFLECTION_ALPHA)
_NOT_FOUND = 5
_UNIMPLEMENTED = 12


class Reflection:
    """One version of the service; the versions differ in their name alone."""

    def __init__(self, service: str) -> None:
        """Take the full name of the service."""
        package = service.rpartition(".")[0]
        self._request = message(f"{package}.ServerReflectionRequest")
        self._response = message(f"{package}.ServerReflectionResponse")

    def answer(self, data: bytes) -> bytes:
        """Answer one message of the stream.

        Raises:
            BadRequest: It is no such message.
        """
        try:
            asked = self._request.FromString(data)
        except DecodeError as error:
            raise BadRequest(f"the message is no ServerReflectionRequest: {error}") from error
        response = self._response(valid_host=asked.host, original_request=asked)
        kind = asked.WhichOneof("message_request")
        if kind == "list_services":
            for name in SERVICES:
                response.list_services_response.service.add(name=name)
        elif kind in {"file_by_filename", "file_containing_symbol"}:
            self._show_file(response, kind, getattr(asked, kind))
        else:
            _refuse(response, _UNIMPLEMENTED, f"{kind} is not answered here; there are no extensions")
        return bytes(response.SerializeToString())

    def _show_file(self, response: Message, kind: str, name: str) -> None:
        try:
            found = POOL.FindFileByName(name) if kind == "file_by_filename" else _file_with(name)
        except KeyError:
            _refuse(response, _NOT_FOUND, f"there is no {name!r} here")
            return
        response.file_descriptor_response.file_descriptor_proto.append(found.serialized_pb)


def _file_with(symbol: str) -> FileDescriptor:
    """The file that declares a symbol; the pool knows no methods, so that their service is looked for.

    Raises:
        KeyError: None does.
    """
    try:
        return POOL.FindFileContainingSymbol(symbol)
    except KeyError:
        service, _, method = symbol.rpartition(".")
        found = POOL.FindServiceByName(service)
        if method not in found.methods_by_name:
            raise
        return found.file


def _refuse(response: Message, code: int, sentence: str) -> None:
    response.error_response.error_code = code
    response.error_response.error_message = sentence
