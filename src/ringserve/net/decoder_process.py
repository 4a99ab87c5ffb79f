"""The process that decodes large bodies: `python -m ringserve.net.decoder_process`.

It reads jobs from standard input and writes outcomes to standard output, one after the other, until its input
ends. It outlives the signals that its server drains by, makes way for everybody else's work, and is the first
to go where memory runs out.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from ringserve.errors import ServeError
from ringserve.wire.decoder import (
    AGAIN,
    ALL_JSON,
    JOB,
    OF_GRPC,
    WHICH,
    encode_error,
    encode_message,
    encode_named,
    encode_request,
)
from ringserve.wire.hello import decode_spec
from ringserve.wire.infer_json import Fields, InferCodec, named_model, read_object
from ringserve.wire.oip_rest import RestCodec

if TYPE_CHECKING:
    from ringserve.core.tensor import ModelSpec
    from ringserve.wire.oip_grpc import GrpcCodec

NICENESS = 5
FIRST_TO_GO = b"1000"


def main() -> None:
    """Work until the input ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.nice(NICENESS)
    with suppress(OSError):  # where there is no such file the kernel chooses by itself
        Path("/proc/self/oom_score_adj").write_bytes(FIRST_TO_GO)
    work(sys.stdin.buffer, sys.stdout.buffer)


def work(jobs: BinaryIO, outcomes: BinaryIO) -> None:
    """Take jobs until there are no more; one that is cut short ends the work."""
    decoder = _Decoder()
    while len(head := jobs.read(JOB.size)) == JOB.size:
        spec_size, body_size, json_size, version_size = JOB.unpack(head)
        encoded, version = jobs.read(spec_size), jobs.read(version_size).decode()
        body = jobs.read(body_size)
        if len(body) < body_size:
            return
        try:
            outcome = decoder.outcome(encoded, version, json_size, body)
        except ServeError as error:
            outcome = encode_error(error)
        outcomes.write(outcome)
        outcomes.flush()


class _Decoder:
    """What is kept from one job to the next: the model, and a body of `/infer` whose model is being found."""

    def __init__(self) -> None:
        self._known = b""
        self._infer = cast("InferCodec", None)
        self._rest = cast("RestCodec", None)
        self._grpc: GrpcCodec | None = None
        self._fields: Fields = {}
        self._body = b""

    def outcome(self, encoded: bytes, version: str, json_size: int, body: bytes) -> bytes:
        fields, kept = self._fields, self._body
        self._fields, self._body = {}, b""
        if json_size == WHICH:
            self._fields, self._body = read_object(body), body
            return encode_named(*named_model(self._fields))
        if encoded != self._known:
            spec = decode_spec(encoded)
            self._known, self._infer, self._rest = encoded, InferCodec(spec), RestCodec(spec)
            self._grpc = None
        if json_size == AGAIN:
            return encode_request(self._infer.decode_for(version, kept, fields))
        if json_size == OF_GRPC:
            self._grpc = self._grpc or _grpc_codec(self._infer.spec)
            return encode_message(self._grpc.decode(body))
        return encode_request(self._rest.decode(body, None if json_size == ALL_JSON else json_size, version))


def _grpc_codec(spec: ModelSpec) -> GrpcCodec:
    from ringserve.wire.oip_grpc import GrpcCodec  # noqa: PLC0415 - few need protobuf, which takes its time

    return GrpcCodec(spec)


if __name__ == "__main__":
    main()
