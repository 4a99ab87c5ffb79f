"""A stranger on the link of a worker whose model takes strings: their framing is checked before they run."""

from __future__ import annotations

from pathlib import Path

from ringserve.core.byte_strings import join
from ringserve.core.signature import Signature, TensorLayout
from ringserve.core.tensor import DType
from ringserve.errors import ANSWERS, BadRequest
from ringserve.wire import records
from ringserve.wire.frames import Kind, frame
from tests.hostile.stranger import Stranger, request_record
from tests.integration.servers import Servers
from tests.support import typed_models

REFUSED = records.FIRST_ERROR + ANSWERS.index(BadRequest)
GOOD = join([b"red", b"green", "Grün".encode()])


def test_strings_that_are_framed_wrongly_are_refused_and_the_link_goes_on(tmp_path: Path) -> None:
    encoded = Signature("colours", "", (TensorLayout("x", DType.BYTES, (1, 3)),)).encoded
    many = Signature("colours", "", (TensorLayout("x", DType.BYTES, (2**24, 3)),)).encoded
    wrong = {
        "nothing": request_record(1, b"", encoded),
        "cut in a length": request_record(2, GOOD[:9], encoded),
        "cut in a string": request_record(3, GOOD[:-1], encoded),
        "one string too few": request_record(4, join([b"red", b"green"]), encoded),
        "one string too many": request_record(5, GOOD + join([b""]), encoded),
        "a length beyond the payload": request_record(6, b"\xff\xff\xff\xff" + GOOD, encoded),
        "more strings than bytes": request_record(7, GOOD, many),
        "no text": request_record(8, join([b"red", b"\xff", b"blue"]), encoded),
    }
    with Servers(tmp_path) as servers:
        worker = servers.worker(typed_models.colours(tmp_path / "colours.onnx"))
        with Stranger(worker) as stranger:
            stranger.send(frame(Kind.REQUESTS, b"".join(wrong.values())))
            answers = {answer.id: answer for answer in stranger.answers(len(wrong))}
            assert {number: answer.status for number, answer in answers.items()} == dict.fromkeys(
                range(1, 9), REFUSED
            )
            assert b"tensor x of type BYTES is framed wrongly" in answers[3].payload
            assert answers[5].payload.endswith(b"there are 4 bytes after the last tensor")
            assert b"element 1 is no UTF-8" in answers[8].payload
            stranger.send(frame(Kind.REQUESTS, request_record(11, GOOD, encoded)))
            (answer,) = stranger.answers(1)
            assert (answer.id, answer.status) == (11, records.COMPUTED)
        assert "error" not in worker.log()
