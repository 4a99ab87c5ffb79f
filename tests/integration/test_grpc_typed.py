"""Large messages of gRPC with typed contents are read beside the server: the same answers, nobody waits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from benchmarks.processes import children_of, command_of
from ringserve.limits import LARGE_BODY_BYTES
from ringserve.models.digits import digits_path
from tests.integration.grpc_caller import LIMIT_S, Caller, caller, digits_request
from tests.integration.servers import Server, Servers, free_port

ROWS = np.random.default_rng(7).random((1200, 64)).astype("<f4")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, int]]:
    port = free_port()
    with Servers(tmp_path_factory.mktemp("logs")) as servers:
        yield servers.worker(digits_path(), "--grpc-port", str(port)), port


@pytest.fixture
def asked(served: tuple[Server, int]) -> Iterator[Caller]:
    with caller(served[1]) as asked:
        yield asked


def typed(rows: Any, **fields: object) -> Any:  # noqa: ANN401 - an array and a message
    request = digits_request(rows, raw_input_contents=[], **fields)
    request.inputs[0].contents.fp32_contents.extend(rows.reshape(-1).tolist())
    return request


def test_it_is_answered_as_its_raw_form_is_and_shares_its_entry_of_the_cache(
    served: tuple[Server, int], asked: Caller
) -> None:
    request = typed(ROWS, id="é")
    assert len(request.SerializeToString()) > LARGE_BODY_BYTES
    answer = asked.send("ModelInfer", request).result()
    assert answer.id == "é"
    hits = served[0].get("/health").json["cache_hits"]
    raw = asked.infer(ROWS)
    assert list(answer.raw_output_contents) == list(raw.raw_output_contents)
    assert served[0].get("/health").json["cache_hits"] == hits + 1
    commands = [" ".join(command_of(pid)) for pid in children_of(served[0].process.pid)]
    assert any("decoder_process" in command for command in commands)


def test_what_is_wrong_with_it_is_told_as_of_a_small_one(asked: Caller) -> None:
    request = typed(ROWS)
    del request.inputs[0].contents.fp32_contents[-1]
    call = asked.send("ModelInfer", request)
    call.exception(LIMIT_S)
    assert call.code().name == "INVALID_ARGUMENT"
    assert "model digits: input pixels of shape [1200, 64] has 76800 elements, got 76799" in call.details()
    request = typed(ROWS, model_name="other")
    call = asked.send("ModelInfer", request)
    call.exception(LIMIT_S)
    assert call.code().name == "NOT_FOUND"


def test_what_is_asked_of_its_answer_is_kept(asked: Caller) -> None:
    request = typed(ROWS)
    request.outputs.add(name="probabilities").parameters["classification"].int64_param = 1
    (output,) = asked.send("ModelInfer", request).result().outputs
    assert (output.datatype, list(output.shape)) == ("BYTES", [1200, 1])


def test_small_ones_on_its_stream_keep_their_place(asked: Caller) -> None:
    small = np.zeros((1, 64), "<f4")
    requests = [digits_request(small, id="0"), typed(ROWS + 2, id="1"), digits_request(small, id="2")]
    assert [one.infer_response.id for one in asked.stream(iter(requests))] == ["0", "1", "2"]
