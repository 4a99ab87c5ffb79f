import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from ringserve.wire.proto import messages

PROTO = Path(messages.__file__).parent


def ours() -> Iterator[Descriptor]:
    """Every message of the protocol that we know, nested ones too."""
    waiting = list(messages.POOL.FindFileByName("oip.proto").message_types_by_name.values())
    while waiting:
        one = waiting.pop()
        waiting += one.nested_types
        yield one


def about(field: FieldDescriptor) -> tuple[object, ...]:
    """What two ends must agree on."""
    inner = field.message_type or field.enum_type
    oneof = field.containing_oneof
    return field.name, field.number, field.type, field.label, inner and inner.full_name, oneof and oneof.name


def test_the_descriptors_are_what_protoc_makes_of_the_proto_files(tmp_path: Path) -> None:
    """`make proto` writes them."""
    made = tmp_path / "descriptors.binpb"
    names = sorted(path.name for path in PROTO.glob("*.proto"))
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I", str(PROTO), f"--descriptor_set_out={made}"]
    subprocess.run([*command, *names], check=True, timeout=50)
    assert made.read_bytes() == (PROTO / "descriptors.binpb").read_bytes()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_each_field_has_the_number_and_type_that_tritonclient_gives_it() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tritonclient.grpc import model_config_pb2, service_pb2

    theirs = {
        name: message
        for module in (service_pb2, model_config_pb2)
        for name, message in module.DESCRIPTOR.message_types_by_name.items()
    }

    def find(message: Descriptor) -> Descriptor:
        if message.containing_type is None:
            return theirs[message.name]
        return find(message.containing_type).nested_types_by_name[message.name]

    count = 0
    for message in ours():
        for field in message.fields:
            assert about(field) == about(find(message).fields_by_name[field.name]), message.full_name
            count += 1
        for enum in message.enum_types:
            assert (
                enum.values_by_name.keys()
                == find(message).enum_types_by_name[enum.name].values_by_name.keys()
            )
    assert count > 100


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_each_method_is_called_as_tritonclient_calls_it() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tritonclient.grpc import service_pb2
    theirs = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods_by_name
    own = messages.methods(messages.SERVICE)
    assert len(own) == 12
    for method in own:
        other = theirs[method.name]
        assert method.full_name == other.full_name
        assert method.input_type.full_name == other.input_type.full_name
        assert method.output_type.full_name == other.output_type.full_name
        assert (method.client_streaming, method.server_streaming) == (
            other.client_streaming,
            other.server_streaming,
        )
