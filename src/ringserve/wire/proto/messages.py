"""Classes of the messages, made of the descriptors in a pool of our own.

Generated code would register its messages in the common pool of protobuf, where they clash with those of any
client of the same protocol in this process; and it is bound to one or two major versions of the runtime.
"""

from __future__ import annotations

from importlib.resources import files

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

POOL = DescriptorPool()
FILES: tuple[bytes, ...] = tuple(
    file.SerializeToString()
    for file in FileDescriptorSet.FromString(
        files("ringserve.wire.proto").joinpath("descriptors.binpb").read_bytes()
    ).file
)
for _file in FILES:
    POOL.AddSerializedFile(_file)

SERVICE = "inference.GRPCInferenceService"
HEALTH = "grpc.health.v1.Health"
REFLECTION = "grpc.reflection.v1.ServerReflection"
REFLECTION_ALPHA = "grpc.reflection.v1alpha.ServerReflection"


def message(name: str) -> type[Message]:
    """The class of a message, by its full name."""
    found: type[Message] = GetMessageClass(POOL.FindMessageTypeByName(name))
    return found


def methods(service: str) -> list[MethodDescriptor]:
    """The methods of a service, by its full name."""
    return list(POOL.FindServiceByName(service).methods)


InferRequest = message("inference.ModelInferRequest")
InferResponse = message("inference.ModelInferResponse")
StreamResponse = message("inference.ModelStreamInferResponse")
