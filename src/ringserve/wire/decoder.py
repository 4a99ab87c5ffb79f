"""What a server and its decoder process say to each other: lengths first, then bytes.

A job is the length of the model's spec and of the body (4 bytes each, little-endian), the spec as JSON, and
the body. An outcome is one byte (0 read, 1 read and without a request id, 2 + n error n of `errors.ANSWERS`),
three lengths, and the request id, the encoded signature and the payload; of an error the sentence stands in
the first place and the others are empty.
"""

from __future__ import annotations

from struct import Struct

from ringserve.core.tensor import ModelSpec
from ringserve.errors import ANSWERS, ServeError
from ringserve.wire.hello import encode_spec
from ringserve.wire.infer_json import InferRequest

JOB = Struct("<II")
OUTCOME = Struct("<BIII")
READ, READ_NAMELESS, FIRST_ERROR = 0, 1, 2


def job_head(spec: ModelSpec, body_size: int) -> bytes:
    """Everything of a job but its body, which follows."""
    encoded = encode_spec(spec)
    return JOB.pack(len(encoded), body_size) + encoded


def encode_request(request: InferRequest) -> bytes:
    """The outcome of a body that could be read."""
    name, signature = request.request_id, request.signature.encoded
    kind = READ_NAMELESS if name is None else READ
    encoded = b"" if name is None else name.encode("utf-8", "surrogatepass")
    return b"".join(
        [
            OUTCOME.pack(kind, len(encoded), len(signature), len(request.payload)),
            encoded,
            signature,
            request.payload,
        ]
    )


def encode_error(error: ServeError) -> bytes:
    """The outcome of a body that is refused."""
    sentence = error.message.encode("utf-8", "replace")
    return OUTCOME.pack(FIRST_ERROR + ANSWERS.index(type(error)), len(sentence), 0, 0) + sentence


def request_id_of(kind: int, name: bytes) -> str | None:
    """The caller's name for the request.

    Raises:
        ServeError: The outcome is an error: this one.
    """
    if kind >= FIRST_ERROR:
        raise ANSWERS[kind - FIRST_ERROR](name.decode("utf-8", "replace"))
    return None if kind == READ_NAMELESS else name.decode("utf-8", "surrogatepass")
