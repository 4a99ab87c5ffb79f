"""What a server and its decoder process say to each other: lengths first, then bytes.

A job is the length of the model's spec and of the body (4 bytes each, little-endian), the length of the JSON
at the body's beginning (-1 for all of it, -2 where the body is one of `/infer`, -3 where it is a message of
gRPC), the length of the version that the path names, then the spec as JSON, the version, and the body.
An outcome is one byte (0 read, 1 read and without a request id, 2 + n error n of `errors.ANSWERS`), four
lengths, and the request id, the encoded signature, what is asked of the answer (JSON; empty for `/infer`) and
the payload; of an error the sentence stands in the first place and the others are empty.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

import orjson

from ringserve.core.tensor import ModelSpec
from ringserve.errors import ANSWERS, ServeError
from ringserve.wire.hello import encode_spec
from ringserve.wire.infer_json import InferRequest
from ringserve.wire.oip_asked import AskedOutput
from ringserve.wire.oip_rest import RestRequest

if TYPE_CHECKING:
    from ringserve.wire.oip_grpc import GrpcRequest

JOB = Struct("<IIqI")
OUTCOME = Struct("<BIIII")
READ, READ_NAMELESS, FIRST_ERROR = 0, 1, 2
ALL_JSON, OF_INFER, OF_GRPC = -1, -2, -3


def job_head(spec: ModelSpec, body_size: int, json_size: int = OF_INFER, version: str = "") -> bytes:
    """Everything of a job but its body, which follows."""
    encoded, named = encode_spec(spec), version.encode()
    return JOB.pack(len(encoded), body_size, json_size, len(named)) + encoded + named


def encode_request(request: InferRequest | RestRequest) -> bytes:
    """The outcome of a body that could be read."""
    name = request.request_id
    kind = READ_NAMELESS if name is None else READ
    encoded = b"" if name is None else name.encode("utf-8", "surrogatepass")
    asked = b""
    if isinstance(request, RestRequest):
        asked = orjson.dumps([request.timeout_us, [list(output) for output in request.outputs]])
    return _outcome(kind, encoded, request.signature.encoded, asked, request.payload)


def encode_message(request: GrpcRequest) -> bytes:
    """The outcome of a message of gRPC that could be read."""
    asked = orjson.dumps([request.timeout_s, request.tops])
    return _outcome(READ, request.request_id, request.signature.encoded, asked, request.payload)


def _outcome(kind: int, name: bytes, signature: bytes, asked: bytes, payload: bytes) -> bytes:
    sizes = OUTCOME.pack(kind, len(name), len(signature), len(asked), len(payload))
    return b"".join([sizes, name, signature, asked, payload])


def asked_of(encoded: bytes) -> tuple[int, tuple[AskedOutput, ...]]:
    """What a request of `/v2` asks of its answer: the time-out in microseconds, and the outputs' forms."""
    timeout_us, outputs = orjson.loads(encoded)
    return timeout_us, tuple(AskedOutput(*output) for output in outputs)


def message_asked_of(encoded: bytes) -> tuple[float, tuple[int, ...]]:
    """What a message of gRPC asks of its answer: the time-out in seconds, and numbers of classes."""
    timeout_s, tops = orjson.loads(encoded)
    return timeout_s, tuple(tops)


def encode_error(error: ServeError) -> bytes:
    """The outcome of a body that is refused."""
    sentence, number = error.message.encode("utf-8", "replace"), ANSWERS.index(type(error))
    return OUTCOME.pack(FIRST_ERROR + number, len(sentence), 0, 0, 0) + sentence


def request_id_of(kind: int, name: bytes) -> str | None:
    """The caller's name for the request.

    Raises:
        ServeError: The outcome is an error: this one.
    """
    if kind >= FIRST_ERROR:
        raise ANSWERS[kind - FIRST_ERROR](name.decode("utf-8", "replace"))
    return None if kind == READ_NAMELESS else name.decode("utf-8", "surrogatepass")
