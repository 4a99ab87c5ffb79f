"""The decoder process takes one job after the other and ends with its input."""

import io
import json
import struct

from ringserve.core.signature import Signature, TensorLayout
from ringserve.core.tensor import DType, ModelSpec, TensorSpec
from ringserve.errors import ANSWERS, NotFound
from ringserve.net.decoder_process import work
from ringserve.wire.decoder import (
    FIRST_ERROR,
    OF_GRPC,
    OUTCOME,
    READ,
    READ_NAMELESS,
    again_head,
    asked_of,
    encode_named,
    job_head,
    which_head,
)
from ringserve.wire.oip_asked import AskedOutput
from ringserve.wire.proto.messages import InferRequest

OUT = TensorSpec("y", DType.FP32, ("b", 2))
SPEC = ModelSpec("m", "1", "d", (TensorSpec("x", DType.FP32, ("b", 2)),), (OUT,), True, 32, True, "cpu")
OTHER = ModelSpec("n", "1", "e", (TensorSpec("y", DType.INT64, (3,)),), (), False, 1, True, "cpu")


def outcomes_of(*jobs: bytes) -> bytes:
    outcomes = io.BytesIO()
    work(io.BytesIO(b"".join(jobs)), outcomes)
    return outcomes.getvalue()


def job(spec: ModelSpec, body: bytes, version: str = "") -> bytes:
    """Both jobs of a body of /infer."""
    return which_head(len(body)) + body + again_head(spec, version)


def named(name: str = "", version: str = "") -> bytes:
    return encode_named(name, version)


def test_jobs_of_several_models_are_answered_in_their_order() -> None:
    said = outcomes_of(
        job(SPEC, b'{"input_data": [1, 2]}'),
        job(OTHER, b'{"request_id": "r", "input_data": [1, 2, 3], "model": "n", "model_version": "4"}', "4"),
        which_head(1) + b"[",
    )
    first = Signature("m", "", (TensorLayout("x", DType.FP32, (1, 2)),)).encoded
    second = Signature("n", "4", (TensorLayout("y", DType.INT64, (3,)),)).encoded
    expected = (
        named()
        + OUTCOME.pack(READ_NAMELESS, 0, len(first), 0, 8)
        + first
        + struct.pack("<2f", 1, 2)
        + named("n", "4")
        + OUTCOME.pack(0, 1, len(second), 0, 24)
        + b"r"
        + second
        + struct.pack("<3q", 1, 2, 3)
    )
    assert said.startswith(expected)
    assert b"the body is not JSON" in said[len(expected) :]


def test_a_body_is_kept_for_the_next_job_alone() -> None:
    body = b'{"input_data": [1, 2]}'
    said = outcomes_of(which_head(len(body)) + body + 2 * again_head(SPEC, ""))
    assert b"input_data is missing" in said


def test_a_job_that_is_cut_short_ends_the_work() -> None:
    body = b'{"input_data": [1, 2]}'
    whole = which_head(len(body)) + body
    assert outcomes_of(whole[:-1]) == b""
    assert outcomes_of(whole, whole[:5]) == outcomes_of(whole) == named()


def test_a_message_of_grpc_is_a_job_too() -> None:
    message = InferRequest(model_name="m", id="r")
    message.inputs.add(name="x", datatype="FP32", shape=[1, 2]).contents.fp32_contents.extend([1, 2])
    message.outputs.add(name="y").parameters["classification"].int64_param = 1
    body = message.SerializeToString()
    said = outcomes_of(job_head(SPEC, len(body), OF_GRPC) + body, job_head(OTHER, len(body), OF_GRPC) + body)
    kind, *sizes = OUTCOME.unpack(said[: OUTCOME.size])
    end = OUTCOME.size + sum(sizes)
    assert (kind, said[OUTCOME.size : OUTCOME.size + 1]) == (READ, b"r")
    assert said[end - 8 : end] == struct.pack("<2f", 1, 2)
    assert said[end] == FIRST_ERROR + ANSWERS.index(NotFound)


def test_a_job_of_v2_tells_what_is_asked_of_the_answer_too() -> None:
    pixels = {"name": "x", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}}
    output = {"name": "y", "parameters": {"binary_data": True}}
    asked = {"id": "r", "parameters": {"timeout": 7}, "outputs": [output], "inputs": [pixels]}
    head = json.dumps(asked).encode()
    body = head + struct.pack("<2f", 1, 2)
    said = outcomes_of(job_head(SPEC, len(body), len(head), "1") + body)
    kind, *sizes = OUTCOME.unpack(said[: OUTCOME.size])
    parts, start = [], OUTCOME.size
    for size in sizes:
        parts.append(said[start : start + size])
        start += size
    name, signature, form, payload = parts
    assert (kind, name, start) == (0, b"r", len(said))
    assert Signature.decode(signature).version == "1"
    assert asked_of(form) == (7, (AskedOutput(binary=True, top=0),))
    assert payload == struct.pack("<2f", 1, 2)
