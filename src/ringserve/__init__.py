"""ringserve: serves ONNX models from many workers behind one gateway.

Rooms, from the ground up: errors, settings, core (pure logic), wire (bytes to messages), engine (ONNX
Runtime), observe (metrics and logs), net (sockets), worker and gateway (assembly), fleet (processes),
tools, client, cli. Imports point down only. The only code here hands out the client's names, which are
imported when they are first asked for: no command waits for what it does not need.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringserve.client.answers import Answer, ModelMetadata, ModelState, ServerMetadata, TensorMetadata
    from ringserve.client.async_client import AsyncClient
    from ringserve.client.errors import (
        BadAnswer,
        BadInput,
        ClientError,
        ConnectionFailed,
        DeadlineExceeded,
        ModelFailed,
        NotFound,
        Overloaded,
        RequestRefused,
        Unauthorized,
        Unavailable,
    )
    from ringserve.client.sync_client import Client

__all__ = [
    "Answer",
    "AsyncClient",
    "BadAnswer",
    "BadInput",
    "Client",
    "ClientError",
    "ConnectionFailed",
    "DeadlineExceeded",
    "ModelFailed",
    "ModelMetadata",
    "ModelState",
    "NotFound",
    "Overloaded",
    "RequestRefused",
    "ServerMetadata",
    "TensorMetadata",
    "Unauthorized",
    "Unavailable",
]
_ROOMS = {
    "Client": "sync_client",
    "AsyncClient": "async_client",
    "Answer": "answers",
    "ModelMetadata": "answers",
    "ModelState": "answers",
    "ServerMetadata": "answers",
    "TensorMetadata": "answers",
}


if not TYPE_CHECKING:  # a type checker would take any name for one of ours

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module 'ringserve' has no attribute {name!r}")
        return getattr(import_module(f"ringserve.client.{_ROOMS.get(name, 'errors')}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
