from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from ringserve.errors import BadRequest
from ringserve.wire.grpc_reflection import SERVICES, Reflection
from ringserve.wire.proto.messages import REFLECTION, REFLECTION_ALPHA, message


@pytest.fixture(params=[REFLECTION, REFLECTION_ALPHA])
def service(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def ask(service: str, **question: str) -> Any:  # noqa: ANN401 - a message
    package = service.rpartition(".")[0]
    data = Reflection(service).answer(
        message(f"{package}.ServerReflectionRequest")(**question).SerializeToString()
    )
    return message(f"{package}.ServerReflectionResponse").FromString(data)


def test_every_service_is_listed(service: str) -> None:
    answer = ask(service, list_services="*")
    assert tuple(one.name for one in answer.list_services_response.service) == SERVICES


def test_a_file_is_found_by_its_name_and_by_what_it_declares(service: str) -> None:
    for question in (
        {"file_by_filename": "oip.proto"},
        {"file_containing_symbol": "inference.GRPCInferenceService.ModelInfer"},
    ):
        answer = ask(service, **question)
        (data,) = answer.file_descriptor_response.file_descriptor_proto
        assert FileDescriptorProto.FromString(data).package == "inference"


def test_what_is_not_there_is_told_in_the_answer(service: str) -> None:
    answer = ask(service, file_containing_symbol="no.Such")
    assert (answer.error_response.error_code, answer.original_request.file_containing_symbol) == (
        5,
        "no.Such",
    )
    assert ask(service, all_extension_numbers_of_type="x").error_response.error_code == 12
    with pytest.raises(BadRequest):
        Reflection(service).answer(b"\xff")
