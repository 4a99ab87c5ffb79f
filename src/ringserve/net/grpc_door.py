"""Opens the door for gRPC where there is one: a process that serves none does not import grpcio."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringserve.net.grpc_server import GrpcServer
    from ringserve.net.listener import Listener
    from ringserve.settings import Settings


def open_grpc(settings: Settings, listener: Listener, *, shared: bool = False) -> GrpcServer | None:
    """Serve gRPC on `--grpc-port`; None where that is 0.

    Args:
        settings: Of the process.
        listener: The listener whose backend answers.
        shared: Whether a process that this one replaces may still listen there.

    Raises:
        UsageError: The port cannot be listened on.
    """
    if not settings.grpc_port:
        return None
    # grpcio reads both when it is imported. We fork only to start another program, which needs no handlers of
    # grpcio's; and its own lines have no place on standard error, where people and scripts read ours.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from ringserve.net.grpc_server import GrpcServer  # noqa: PLC0415 - see above

    return GrpcServer(settings, listener.backend, listener.guard, listener.large_bodies, shared=shared)
