"""Large messages of gRPC whose tensors are numbers of protobuf: read where nobody waits for it.

Raw tensors are cut out of their message, which costs nothing; typed contents become a Python number each, at
some 100 ns. A process of its own reads them, as it does large JSON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringserve.errors import BadRequest
from ringserve.limits import LARGE_BODY_BYTES
from ringserve.wire.decoder import OF_GRPC, job_head, message_asked_of
from ringserve.wire.oip_grpc import GrpcRequest
from ringserve.wire.oip_grpc_split import split

if TYPE_CHECKING:
    from ringserve.core.tensor import ModelSpec
    from ringserve.net.large_bodies import LargeBodies


def takes_long(data: bytes) -> bool:
    """Whether a request's tensors are so many numbers; from any thread."""
    if len(data) <= LARGE_BODY_BYTES:
        return False
    try:
        return len(split(data).head) > LARGE_BODY_BYTES
    except BadRequest:  # which is told where it is read
        return False


async def decode_message(
    bodies: LargeBodies, spec: ModelSpec, data: bytes, deadline_in_s: float
) -> GrpcRequest:
    """Read a request beside the event loop.

    Args:
        bodies: Those of the listener, which have the decoder.
        spec: The model that is asked.
        data: The message.
        deadline_in_s: Seconds until nobody waits any more.

    Raises:
        ServeError: It is refused, takes too long, or the decoder ended on it.
    """
    head = job_head(spec, len(data), OF_GRPC)
    request_id, signature, asked, payload = await bodies.in_turn(spec, head, data, deadline_in_s)
    timeout_s, tops = message_asked_of(asked)
    return GrpcRequest(signature, payload, (request_id or "").encode(), timeout_s, tops)
