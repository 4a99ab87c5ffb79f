"""What a server and its decoder process say to each other: lengths first, then bytes.

A job is the length of the model's spec and of the body (4 bytes each, little-endian), the length of the JSON
at the body's beginning (-1 for all of it, -3 where it is a message of gRPC), the length of the version that
is asked for, then the spec as JSON, the version, and the body. An outcome is one byte (0 read, 1 read and
without a request id, 2 + n error n of `errors.ANSWERS`), four lengths, and the request id, the encoded
signature, what is asked of the answer (JSON; empty for `/infer`) and the payload; of an error the sentence
stands in the first place and the others are empty.

A body of `/infer` takes two jobs, since only itself tells which model is asked. With -2 in place of the
JSON's length, and neither spec nor version, it is read as JSON, and the outcome has the name and the version
in the first two places. The next job has -4, the spec of that model, the version, and no body.
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
ALL_JSON, WHICH, OF_GRPC, AGAIN = -1, -2, -3, -4
Outcome = tuple[int, bytes, bytes, bytes, bytes]
"""Its kind, and the four that follow."""


def job_head(spec: ModelSpec, body_size: int, json_size: int, version: str = "") -> bytes:
    """Everything of a job but its body, which follows."""
    encoded, named = encode_spec(spec), version.encode()
    return JOB.pack(len(encoded), body_size, json_size, len(named)) + encoded + named


def which_head(body_size: int) -> bytes:
    """The same for a body of `/infer`: which model does it name?"""
    return JOB.pack(0, body_size, WHICH, 0)


def again_head(spec: ModelSpec, version: str) -> bytes:
    """The whole job that reads the body that came last for this model."""
    return job_head(spec, 0, AGAIN, version)


def encode_named(name: str, version: str) -> bytes:
    """The outcome of the first job for a body of `/infer`."""
    return _outcome(
        READ, name.encode("utf-8", "surrogatepass"), version.encode("utf-8", "surrogatepass"), b"", b""
    )


def named_in(outcome: Outcome) -> tuple[str, str]:
    """The model and version of an outcome of `encode_named`.

    Raises:
        ServeError: The outcome is an error: this one.
    """
    kind, name, version, _, _ = outcome
    _raise_where_refused(kind, name)
    return name.decode("utf-8", "surrogatepass"), version.decode("utf-8", "surrogatepass")


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
    _raise_where_refused(kind, name)
    return None if kind == READ_NAMELESS else name.decode("utf-8", "surrogatepass")


def _raise_where_refused(kind: int, sentence: bytes) -> None:
    if kind >= FIRST_ERROR:
        raise ANSWERS[kind - FIRST_ERROR](sentence.decode("utf-8", "replace"))
