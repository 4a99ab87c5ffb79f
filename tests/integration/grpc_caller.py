"""A caller over gRPC with the messages of the package and grpcio's plain stubs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt

from ringserve.wire.proto.messages import HEALTH, SERVICE, InferRequest, message, methods

LIMIT_S = 30.0


class Caller:
    """One channel to a server."""

    def __init__(self, channel: grpc.Channel, metadata: Sequence[tuple[str, str]] = ()) -> None:
        self.channel = channel
        self._metadata = metadata

    def call(
        self, method: str, /, timeout_s: float = LIMIT_S, *, service: str = SERVICE, **fields: object
    ) -> Any:  # noqa: ANN401 - messages
        """Call a method by name with a request of these fields."""
        (about,) = (one for one in methods(service) if one.name == method)
        request = message(about.input_type.full_name)(**fields)
        return self.send(method, request, timeout_s, service=service).result()

    def send(self, name: str, request: Any, timeout_s: float = LIMIT_S, *, service: str = SERVICE) -> Any:  # noqa: ANN401
        """Begin a call with this message; the future has its code, and `result`."""
        (method,) = (one for one in methods(service) if one.name == name)
        stub = self.channel.unary_unary(
            f"/{service}/{name}",
            request_serializer=lambda asked: asked.SerializeToString(),
            response_deserializer=message(method.output_type.full_name).FromString,
        )
        return stub.future(request, timeout=timeout_s, metadata=self._metadata)

    def infer(self, rows: npt.NDArray[np.float32], **fields: Any) -> Any:  # noqa: ANN401
        """One ModelInfer of the digits model."""
        return self.send("ModelInfer", digits_request(rows, **fields)).result()

    def stream(self, requests: Iterator[Any]) -> Any:  # noqa: ANN401
        """One ModelStreamInfer: an iterator of answers, which can be cancelled."""
        stub = self.channel.stream_stream(
            f"/{SERVICE}/ModelStreamInfer",
            request_serializer=lambda asked: asked.SerializeToString(),
            response_deserializer=message("inference.ModelStreamInferResponse").FromString,
        )
        return stub(requests, timeout=LIMIT_S, metadata=self._metadata)

    def health(self, service: str = "") -> str:
        """What grpc.health.v1 says."""
        request = message("grpc.health.v1.HealthCheckRequest")(service=service)
        answer = self.send("Check", request, service=HEALTH).result()
        return str(answer.DESCRIPTOR.fields_by_name["status"].enum_type.values_by_number[answer.status].name)


def digits_request(rows: npt.NDArray[np.float32], **fields: Any) -> Any:  # noqa: ANN401
    """A ModelInferRequest of the digits model with one raw tensor."""
    request = InferRequest(**{"model_name": "digits", "raw_input_contents": [rows.tobytes()], **fields})
    request.inputs.add(name="pixels", datatype="FP32", shape=rows.shape)
    return request


@contextmanager
def caller(
    port: int, *metadata: tuple[str, str], tls: grpc.ChannelCredentials | None = None
) -> Iterator[Caller]:
    """Open a channel, and close it."""
    address = f"127.0.0.1:{port}"
    # Without it grpcio shares the connections of one address among all channels of this process.
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1)]
    channel = (
        grpc.insecure_channel(address, options) if tls is None else grpc.secure_channel(address, tls, options)
    )
    with channel:
        yield Caller(channel, metadata)


def code_of(call: Any) -> tuple[str, str]:  # noqa: ANN401
    """How a call failed: its code's name and its sentence."""
    return call.code().name, call.details()
