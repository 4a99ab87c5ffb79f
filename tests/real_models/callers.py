"""One request over each protocol, arrays in and arrays out, from the protocol and not with our codecs."""

from __future__ import annotations

import http.client
import json
import struct
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import grpc
import numpy as np

from ringserve.wire.proto.messages import SERVICE, InferRequest, message
from tests.real_models.catalogue import Array, Feed

LIMIT_S = 60.0
TYPES = {
    "BOOL": "?",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
    "UINT8": "u1",
}
NAMES = {np.dtype(code): name for name, code in TYPES.items()}
Caller = Callable[[Feed], Feed]


class Refused(Exception):
    """The server answered with an error."""


class Address:
    """Where a model is served."""

    def __init__(self, model: str, port: int, grpc_port: int) -> None:
        self.model = model
        self._port = port
        self._grpc_port = grpc_port

    def callers(self) -> dict[str, Caller]:
        """By the name of the protocol."""
        return {"REST binary": self.ask_binary, "REST JSON": self.ask_json, "gRPC": self.ask_grpc}

    def get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """A page about the model, or about its server where the path begins with a slash."""
        whole = path if path.startswith("/") else f"/v2/models/{quote(self.model, safe='')}/{path}"
        return json.loads(self._http("GET", whole, b"", {})[1])

    def ask_binary(self, feed: Feed) -> Feed:
        """Tensors as bytes behind the JSON."""
        blobs = [_raw(array) for array in feed.values()]
        inputs = [
            {**_about(name, array), "parameters": {"binary_data_size": len(blob)}}
            for (name, array), blob in zip(feed.items(), blobs, strict=True)
        ]
        head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
        headers, body = self._infer(
            head + b"".join(blobs), {"Inference-Header-Content-Length": str(len(head))}
        )
        size = int(headers["Inference-Header-Content-Length"])
        at, answer = size, {}
        for output in json.loads(body[:size])["outputs"]:
            end = at + output["parameters"]["binary_data_size"]
            answer[output["name"]] = _array(output["datatype"], output["shape"], body[at:end])
            at = end
        assert at == len(body)
        return answer

    def ask_json(self, feed: Feed) -> Feed:
        """Tensors as lists."""
        inputs = [{**_about(name, array), "data": array.ravel().tolist()} for name, array in feed.items()]
        _headers, body = self._infer(json.dumps({"inputs": inputs}).encode(), {})
        return {
            output["name"]: np.array(output["data"], TYPES.get(output["datatype"], object)).reshape(
                output["shape"]
            )
            for output in json.loads(body)["outputs"]
        }

    def ask_grpc(self, feed: Feed) -> Feed:
        """Tensors as raw contents."""
        asked = InferRequest(
            model_name=self.model, raw_input_contents=[_raw(array) for array in feed.values()]
        )
        for name, array in feed.items():
            asked.inputs.add(**_about(name, array))
        options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        with grpc.insecure_channel(f"127.0.0.1:{self._grpc_port}", options) as channel:
            call = channel.unary_unary(
                f"/{SERVICE}/ModelInfer",
                request_serializer=InferRequest.SerializeToString,
                response_deserializer=message("inference.ModelInferResponse").FromString,
            )
            try:
                answer = call(asked, timeout=LIMIT_S)
            except grpc.RpcError as error:
                raise Refused(error.details()) from error
        return {
            output.name: _array(output.datatype, list(output.shape), raw)
            for output, raw in zip(answer.outputs, answer.raw_output_contents, strict=True)
        }

    def _infer(self, body: bytes, headers: dict[str, str]) -> tuple[dict[str, str], bytes]:
        return self._http("POST", f"/v2/models/{quote(self.model, safe='')}/infer", body, headers)

    def _http(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=LIMIT_S)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            read = answer.read()
            if answer.status != http.HTTPStatus.OK:
                raise Refused(f"{answer.status} {read.decode()}")
            return {name.title(): value for name, value in answer.getheaders()}, read
        finally:
            connection.close()


def _about(name: str, array: Array) -> dict[str, Any]:
    return {"name": name, "datatype": NAMES.get(array.dtype, "BYTES"), "shape": list(array.shape)}


def _raw(array: Array) -> bytes:
    if array.dtype.kind != "O":
        return array.tobytes()
    texts = [text.encode() for text in array.ravel()]
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


def _array(datatype: str, shape: list[int], raw: bytes) -> Array:
    if datatype != "BYTES":
        return np.frombuffer(raw, TYPES[datatype]).reshape(shape)
    texts, at = [], 0
    while at < len(raw):
        (size,) = struct.unpack_from("<I", raw, at)
        texts.append(raw[at + 4 : at + 4 + size].decode())
        at += 4 + size
    return np.array(texts, object).reshape(shape)
