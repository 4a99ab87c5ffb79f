"""The decoder process takes one job after the other and ends with its input."""

import io
import struct

from ringserve.core.signature import Signature, TensorLayout
from ringserve.core.tensor import DType, ModelSpec, TensorSpec
from ringserve.net.decoder_process import work
from ringserve.wire.decoder import OUTCOME, READ_NAMELESS, job_head

SPEC = ModelSpec("m", "1", "d", (TensorSpec("x", DType.FP32, ("b", 2)),), (), True, 32, True, "cpu")
OTHER = ModelSpec("n", "1", "e", (TensorSpec("y", DType.INT64, (3,)),), (), False, 1, True, "cpu")


def outcomes_of(*jobs: bytes) -> bytes:
    outcomes = io.BytesIO()
    work(io.BytesIO(b"".join(jobs)), outcomes)
    return outcomes.getvalue()


def job(spec: ModelSpec, body: bytes) -> bytes:
    return job_head(spec, len(body)) + body


def test_jobs_of_several_models_are_answered_in_their_order() -> None:
    said = outcomes_of(
        job(SPEC, b'{"input_data": [1, 2]}'),
        job(OTHER, b'{"request_id": "r", "input_data": [1, 2, 3]}'),
        job(SPEC, b"["),
    )
    first = Signature("m", "", (TensorLayout("x", DType.FP32, (1, 2)),)).encoded
    second = Signature("n", "", (TensorLayout("y", DType.INT64, (3,)),)).encoded
    expected = (
        OUTCOME.pack(READ_NAMELESS, 0, len(first), 8)
        + first
        + struct.pack("<2f", 1, 2)
        + OUTCOME.pack(0, 1, len(second), 24)
        + b"r"
        + second
        + struct.pack("<3q", 1, 2, 3)
    )
    assert said.startswith(expected)
    assert b"the body is not JSON" in said[len(expected) :]


def test_a_job_that_is_cut_short_ends_the_work() -> None:
    whole = job(SPEC, b'{"input_data": [1, 2]}')
    assert outcomes_of(whole[:-1]) == b""
    assert outcomes_of(whole, whole[:5]) == outcomes_of(whole)
