"""What does not fit a model is refused in words that a person can act on, over REST and over gRPC.

Each sentence names the model, the tensor, what was expected and what came, and the batch dimension where that
is the likely slip; nothing else on the connection is disturbed.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import onnx
import pytest
from onnx import TensorProto, helper

from ringserve.wire.proto.messages import InferRequest
from tests.integration.grpc_caller import LIMIT_S, Caller, caller
from tests.integration.servers import Connection, Servers, free_port, request

MODEL = "trio"


def trio(path: Path) -> Path:
    """Rows of three floats, rows of two strings, and rows of four halves; each comes back."""
    kinds = {"x": (TensorProto.FLOAT, 3), "words": (TensorProto.STRING, 2), "half": (TensorProto.FLOAT16, 4)}
    values = {name: helper.make_tensor_value_info(name, kind, ["N", n]) for name, (kind, n) in kinds.items()}
    outputs = [
        helper.make_tensor_value_info(f"{name}_out", kind, ["N", n]) for name, (kind, n) in kinds.items()
    ]
    nodes = [helper.make_node("Identity", [name], [f"{name}_out"]) for name in kinds]
    graph = helper.make_graph(nodes, "trio", list(values.values()), outputs)
    onnx.save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@dataclass
class Sent:
    """One input as it is sent."""

    name: str
    datatype: str
    shape: list[int]
    raw: bytes
    data: Any = None


def framed(*texts: bytes) -> bytes:
    return b"".join(len(text).to_bytes(4, "little") + text for text in texts)


def good(*, but: Sent | None = None, without: str = "") -> list[Sent]:
    """What fits, with one input changed or left out."""
    inputs = [
        Sent("x", "FP32", [1, 3], bytes(12)),
        Sent("words", "BYTES", [1, 2], framed(b"a", b"bc")),
        Sent("half", "FP16", [1, 4], bytes(8)),
    ]
    changed = [but if but is not None and but.name == one.name else one for one in inputs]
    return [one for one in changed if one.name != without]


@dataclass
class Case:
    """What is sent, and the words that its sentence must have."""

    inputs: list[Sent]
    words: tuple[str, ...]
    model: str = MODEL
    version: str = ""
    status: int = 400
    surplus: bytes = b""
    grpc_words: tuple[str, ...] = field(default=())


def x(datatype: str = "FP32", shape: tuple[int, ...] = (1, 3), size: int = 12, data: Any = None) -> Sent:  # noqa: ANN401
    return Sent("x", datatype, list(shape), bytes(size), data)


CASES = {
    "an unknown model": Case(good(), ("'other'", "'trio'"), model="other", status=404),
    "an unknown version": Case(good(), ("'trio'", "'9'", "'1'"), version="9", status=404),
    "an unknown input": Case(
        [*good(), Sent("z", "FP32", [1, 3], bytes(12))], ("trio", "['x', 'words', 'half']", "'z'")
    ),
    "a missing input": Case(
        good(without="words"), ("trio", "['x', 'words', 'half']", "['words'] is missing")
    ),
    "a wrong type": Case(good(but=x("INT32")), ("trio", "input x", "FP32", "INT32")),
    "no such type": Case(good(but=x("FLOAT")), ("trio", "input x", "FP32", "FLOAT")),
    "a wrong rank": Case(good(but=x(shape=(1, 1, 3))), ("trio", "input x", "[N, 3]", "[1, 1, 3]")),
    "the batch dimension forgotten": Case(
        good(but=x(shape=(3,))), ("trio", "input x", "[N, 3]", "[3]", "send [1, 3] for one")
    ),
    "a wrong dimension": Case(good(but=x(shape=(1, 4), size=16)), ("trio", "input x", "[N, 3]", "[1, 4]")),
    "other numbers of rows": Case(
        good(but=x(shape=(2, 3), size=24)), ("trio", "equally many items", "'x': 2", "'words': 1")
    ),
    "too few bytes": Case(good(but=x(size=11)), ("trio", "input x", "[1, 3]", "12 bytes", "11")),
    "too many bytes": Case(good(but=x(size=13)), ("trio", "input x", "[1, 3]", "12 bytes", "13")),
    "surplus bytes": Case(good(), ("trio", "['x', 'words', 'half']"), surplus=b"12345"),
    "a string that says too much": Case(
        good(but=Sent("words", "BYTES", [1, 2], b"\xff\0\0\0aa\0\0\0\0")),
        ("trio", "input words", "element 0 of 2 says 255 bytes", "its length (4 bytes, little-endian)"),
    ),
    "a string that says too little": Case(
        good(but=Sent("words", "BYTES", [1, 2], framed(b"a", b"b") + b"rest")),
        ("trio", "input words", "4 bytes after", "its length (4 bytes, little-endian)"),
    ),
    "too few strings": Case(
        good(but=Sent("words", "BYTES", [1, 2], framed(b"a"))),
        ("trio", "input words", "2", "its length (4 bytes, little-endian)"),
    ),
    "halves as numbers": Case(
        good(but=Sent("half", "FP16", [1, 4], b"", [1.0, 2.0, 3.0, 4.0])),
        ("trio", "input half", "FP16", "JSON cannot carry", "binary"),
        grpc_words=("trio", "input half", "FP16", "raw_input_contents"),
    ),
    "too few numbers": Case(
        good(but=x(data=[1.0, 2.0])), ("trio", "input x", "[1, 3]", "3 elements", "got 2")
    ),
}


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    folder, port = tmp_path_factory.mktemp("trio"), free_port()
    with Servers(folder) as servers:
        worker = servers.worker(trio(folder / f"{MODEL}.onnx"), "--grpc-port", str(port))
        yield worker.port, port


@pytest.fixture(scope="module")
def connection(ports: tuple[int, int]) -> Iterator[Connection]:
    with Connection(socket.create_connection(("127.0.0.1", ports[0]))) as connection:
        yield connection


@pytest.fixture(scope="module")
def asked(ports: tuple[int, int]) -> Iterator[Caller]:
    with caller(ports[1]) as asked:
        yield asked


def by_rest(connection: Connection, case: Case) -> tuple[int, str]:
    inputs, behind = [], case.surplus
    blobs = b""
    for one in case.inputs:
        described: dict[str, Any] = {"name": one.name, "datatype": one.datatype, "shape": one.shape}
        if one.data is not None:
            described["data"] = one.data
        else:
            described["parameters"] = {"binary_data_size": len(one.raw)}
            blobs += one.raw
        inputs.append(described)
    head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    version = f"/versions/{case.version}" if case.version else ""
    path = f"/v2/models/{quote(case.model)}{version}/infer"
    size = f"Inference-Header-Content-Length: {len(head)}"
    answer = connection.ask(request(head + blobs + behind, size, path=path))
    return answer.status, "" if answer.status == 200 else answer.error


def by_grpc(asked: Caller, case: Case) -> tuple[str, str]:
    message = InferRequest(model_name=case.model, model_version=case.version)
    typed = any(one.data is not None for one in case.inputs)
    for one in case.inputs:
        tensor = message.inputs.add(name=one.name, datatype=one.datatype, shape=one.shape)
        if not typed:
            message.raw_input_contents.append(one.raw)
        elif one.data is not None:
            tensor.contents.fp32_contents.extend(one.data)
        elif one.name == "words":
            tensor.contents.bytes_contents.extend([b"a", b"bc"])
        else:
            tensor.contents.fp32_contents.extend(0.0 for _ in range(one.shape[-1]))
    if case.surplus:
        message.raw_input_contents.append(case.surplus)
    call = asked.send("ModelInfer", message)
    call.exception(LIMIT_S)
    return call.code().name, call.details() or ""


def check_sentence(sentence: str, words: tuple[str, ...]) -> None:
    assert [word for word in words if word not in sentence] == [], sentence


@pytest.mark.parametrize("name", CASES)
def test_a_sentence_over_rest_says_what_is_wrong_and_the_connection_goes_on(
    name: str, connection: Connection
) -> None:
    case = CASES[name]
    status, sentence = by_rest(connection, case)
    assert status == case.status, sentence
    check_sentence(sentence, case.words)
    assert by_rest(connection, Case(good(), ())) == (200, "")


@pytest.mark.parametrize("name", CASES)
def test_a_sentence_over_grpc_says_the_same_and_the_connection_goes_on(name: str, asked: Caller) -> None:
    case = CASES[name]
    code, sentence = by_grpc(asked, case)
    assert code == ("NOT_FOUND" if case.status == 404 else "INVALID_ARGUMENT"), sentence
    check_sentence(sentence, case.grpc_words or case.words)
    assert by_grpc(asked, Case(good(), ()))[0] == "OK"
