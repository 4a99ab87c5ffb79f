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
    ALL_JSON,
    JOB,
    OF_GRPC,
    OF_INFER,
    encode_error,
    encode_message,
    encode_request,
)
from ringserve.wire.hello import decode_spec
from ringserve.wire.infer_json import InferCodec
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
    known, infer, rest, grpc = b"", cast("InferCodec", None), cast("RestCodec", None), None
    while len(head := jobs.read(JOB.size)) == JOB.size:
        spec_size, body_size, json_size, version_size = JOB.unpack(head)
        encoded, version = jobs.read(spec_size), jobs.read(version_size).decode()
        body = jobs.read(body_size)
        if len(body) < body_size:
            return
        if encoded != known:
            spec = decode_spec(encoded)
            known, infer, rest, grpc = encoded, InferCodec(spec), RestCodec(spec), None
        try:
            if json_size == OF_INFER:
                outcome = encode_request(infer.decode(body))
            elif json_size == OF_GRPC:
                grpc = grpc or _grpc_codec(infer.spec)
                outcome = encode_message(grpc.decode(body))
            else:
                outcome = encode_request(
                    rest.decode(body, None if json_size == ALL_JSON else json_size, version)
                )
        except ServeError as error:
            outcome = encode_error(error)
        outcomes.write(outcome)
        outcomes.flush()


def _grpc_codec(spec: ModelSpec) -> GrpcCodec:
    from ringserve.wire.oip_grpc import GrpcCodec  # noqa: PLC0415 - few need protobuf, which takes its time

    return GrpcCodec(spec)


if __name__ == "__main__":
    main()
