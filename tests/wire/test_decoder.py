"""What the decoder process is told and tells survives the way."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringserve.core.signature import Signature, TensorLayout
from ringserve.core.tensor import DType, ModelSpec, TensorSpec
from ringserve.errors import ANSWERS, ServeError
from ringserve.wire import decoder
from ringserve.wire.hello import decode_spec
from ringserve.wire.infer_json import InferRequest
from ringserve.wire.oip_asked import TIMEOUT_US_MAX, AskedOutput
from ringserve.wire.oip_grpc import GrpcRequest
from ringserve.wire.oip_rest import RestRequest

SIGNATURE = Signature("m", "", (TensorLayout("x", DType.FP32, (1, 2)),))
SPEC = ModelSpec("m", "1", "d", (TensorSpec("x", DType.FP32, ("b", 2)),), (), True, 32, True, "cpu")


def cut(data: bytes, sizes: Sequence[int]) -> list[bytes]:
    parts = []
    for size in sizes:
        parts.append(data[:size])
        data = data[size:]
    assert data == b""
    return parts


def test_a_job_names_the_model_its_version_and_the_sizes_of_its_body() -> None:
    head = decoder.job_head(SPEC, 7, 5, "v\N{SNOWMAN}")
    spec_size, body_size, json_size, version_size = decoder.JOB.unpack_from(head)
    assert (body_size, json_size) == (7, 5)
    spec, version = cut(head[decoder.JOB.size :], [spec_size, version_size])
    assert (decode_spec(spec), version.decode()) == (SPEC, "v\N{SNOWMAN}")


@given(st.none() | st.text(), st.binary(max_size=20))
def test_a_request_comes_out_as_it_went_in(request_id: str | None, payload: bytes) -> None:
    outcome = decoder.encode_request(InferRequest(request_id, SIGNATURE, payload))
    kind, *sizes = decoder.OUTCOME.unpack_from(outcome)
    name, signature, asked, body = cut(outcome[decoder.OUTCOME.size :], sizes)
    assert (decoder.request_id_of(kind, name), signature, body) == (request_id, SIGNATURE.encoded, payload)
    assert asked == b""


@given(st.text(), st.text())
def test_the_model_that_a_body_names_comes_out_as_it_went_in(name: str, version: str) -> None:
    outcome = decoder.encode_named(name, version)
    kind, *sizes = decoder.OUTCOME.unpack_from(outcome)
    first, second, third, fourth = cut(outcome[decoder.OUTCOME.size :], sizes)
    assert decoder.named_in((kind, first, second, third, fourth)) == (name, version)


def test_the_two_jobs_of_a_body_of_infer_have_a_body_without_a_model_and_a_model_without_a_body() -> None:
    assert decoder.JOB.unpack(decoder.which_head(7)) == (0, 7, decoder.WHICH, 0)
    again = decoder.again_head(SPEC, "3")
    spec_size, *rest = decoder.JOB.unpack_from(again)
    assert rest == [0, decoder.AGAIN, 1]
    assert decode_spec(again[decoder.JOB.size :][:spec_size]) == SPEC


@given(st.lists(st.builds(AskedOutput, st.booleans(), st.integers(0, 99))), st.integers(0, TIMEOUT_US_MAX))
def test_what_is_asked_of_an_answer_comes_out_as_it_went_in(outputs: list[AskedOutput], timeout: int) -> None:
    request = RestRequest("r", SIGNATURE, b"12345678", tuple(outputs), timeout)
    _kind, *sizes = decoder.OUTCOME.unpack_from(outcome := decoder.encode_request(request))
    asked = cut(outcome[decoder.OUTCOME.size :], sizes)[2]
    assert decoder.asked_of(asked) == (timeout, tuple(outputs))


@given(st.text(), st.floats(0, 86_400), st.lists(st.integers(0, 99)), st.binary(max_size=20))
def test_a_message_comes_out_as_it_went_in(name: str, timeout_s: float, tops: list[int], raw: bytes) -> None:
    request = GrpcRequest(SIGNATURE, raw, name.encode("utf-8", "replace"), timeout_s, tuple(tops))
    kind, *sizes = decoder.OUTCOME.unpack_from(outcome := decoder.encode_message(request))
    told, signature, asked, payload = cut(outcome[decoder.OUTCOME.size :], sizes)
    assert kind == decoder.READ
    assert (told, signature, payload) == (request.request_id, SIGNATURE.encoded, raw)
    assert decoder.message_asked_of(asked) == (timeout_s, tuple(tops))


@pytest.mark.parametrize("kind", ANSWERS)
def test_an_error_comes_out_as_it_went_in(kind: type[ServeError]) -> None:
    outcome = decoder.encode_error(kind("why"))
    number, size, *rest = decoder.OUTCOME.unpack_from(outcome)
    assert rest == [0, 0, 0]
    sentence = outcome[decoder.OUTCOME.size :][:size]
    with pytest.raises(kind, match=r"^why$"):
        decoder.request_id_of(number, sentence)
    with pytest.raises(kind, match=r"^why$"):
        decoder.named_in((number, sentence, b"", b"", b""))
