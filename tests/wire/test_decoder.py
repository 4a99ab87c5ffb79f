"""What the decoder process is told and tells survives the way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringserve.core.signature import Signature, TensorLayout
from ringserve.core.tensor import DType, ModelSpec, TensorSpec
from ringserve.errors import ANSWERS, ServeError
from ringserve.wire import decoder
from ringserve.wire.hello import decode_spec
from ringserve.wire.infer_json import InferRequest

SIGNATURE = Signature("m", "", (TensorLayout("x", DType.FP32, (1, 2)),))
SPEC = ModelSpec("m", "1", "d", (TensorSpec("x", DType.FP32, ("b", 2)),), (), True, 32, True, "cpu")


def test_a_job_names_the_model_and_the_size_of_its_body() -> None:
    head = decoder.job_head(SPEC, 7)
    spec_size, body_size = decoder.JOB.unpack_from(head)
    assert body_size == 7
    assert len(head) == decoder.JOB.size + spec_size
    assert decode_spec(head[decoder.JOB.size :]) == SPEC


@given(st.none() | st.text(), st.binary(max_size=20))
def test_a_request_comes_out_as_it_went_in(request_id: str | None, payload: bytes) -> None:
    outcome = decoder.encode_request(InferRequest(request_id, SIGNATURE, payload))
    kind, *sizes = decoder.OUTCOME.unpack_from(outcome)
    rest = outcome[decoder.OUTCOME.size :]
    name, signature, body = (
        rest[: sizes[0]],
        rest[sizes[0] : sizes[0] + sizes[1]],
        rest[sizes[0] + sizes[1] :],
    )
    assert len(body) == sizes[2]
    assert (decoder.request_id_of(kind, name), signature, body) == (request_id, SIGNATURE.encoded, payload)


@pytest.mark.parametrize("kind", ANSWERS)
def test_an_error_comes_out_as_it_went_in(kind: type[ServeError]) -> None:
    outcome = decoder.encode_error(kind("why"))
    number, size, *rest = decoder.OUTCOME.unpack_from(outcome)
    assert rest == [0, 0]
    with pytest.raises(kind, match=r"^why$"):
        decoder.request_id_of(number, outcome[decoder.OUTCOME.size :][:size])
