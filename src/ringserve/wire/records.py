"""The bodies of the link's frames: requests and answers, many to a frame.

A request's record: number (4 bytes), time left in ms (4), length of the signature (2), length of the payload
(4), key (16), the worker's number for the model (2), flags (1), signature, payload. Bit 0 of the flags: make
it anew, whatever is remembered. An answer's record: number (4), status (1), time in µs (4), length of the
layout (2), length of the payload (4), layout, payload. All little-endian. Status 0 is a computed answer, 1
one from the cache; 2 + n is error n of `errors.ANSWERS`, whose payload is the sentence and whose time is the
retry-after in ms.
"""

from __future__ import annotations

from struct import Struct, error, unpack
from typing import NamedTuple

from ringserve.core.signature import Key, Result
from ringserve.errors import ANSWERS, ServeError
from ringserve.wire.frames import LinkError

REQUEST = Struct("<IIHI16sHB")
ANSWER = Struct("<IBIHI")
DEPTH = Struct("<I")
PONG = Struct("<ddQI")
COMPUTED, CACHED, FIRST_ERROR = 0, 1, 2
U32_MAX = 0xFFFFFFFF
FRESH = 1
RECORDS_MAX = 1 << 20
"""Requests in one frame, unless fewer may come: a short record is ten times its bytes in memory."""
_NUMBER_OF = {kind: number for number, kind in enumerate(ANSWERS)}
SENTENCE_BYTES_MAX = 4096


_new = tuple.__new__
"""Makes a named tuple of a plain one at a third of what its constructor costs, twice a request."""


class RequestRecord(NamedTuple):
    """A request on the link; `signature` is still encoded, so that the reader can look it up."""

    id: int
    left_ms: int
    key: Key
    model: int
    flags: int
    signature: bytes
    payload: bytes


class AnswerRecord(NamedTuple):
    """An answer on the link; for an error `payload` is its sentence and `time` the retry-after in ms."""

    id: int
    status: int
    time: int
    layout: bytes
    payload: bytes


class Pong(NamedTuple):
    """A worker's sign of life: seconds, seconds, a count, rows."""

    run_age_s: float
    slowest_run_s: float
    runs_finished: int
    depth: int


def request_head(
    call_id: int, left_s: float, key: bytes, signature: bytes, payload: bytes, model: int, fresh: bool
) -> bytes:
    """The head of a request's record; signature and payload follow it."""
    left_ms = left_s * 1000
    left_ms = 0 if left_ms < 0 else int(left_ms) if left_ms < U32_MAX else U32_MAX
    return REQUEST.pack(call_id, left_ms, len(signature), len(payload), key, model, fresh)


def read_requests(body: bytes, count_max: int = RECORDS_MAX) -> list[RequestRecord]:
    """Cut the body of a REQUESTS frame.

    Args:
        body: The body.
        count_max: The most records it may hold.

    Raises:
        LinkError: The lengths do not add up, or there are too many.
    """
    records = []
    position, end, size, unpack_from = 0, len(body), REQUEST.size, REQUEST.unpack_from
    try:
        while position < end:
            call_id, left_ms, signature_size, payload_size, key, model, flags = unpack_from(body, position)
            start = position + size
            middle = start + signature_size
            position = middle + payload_size
            records.append(
                _new(
                    RequestRecord,
                    (call_id, left_ms, key, model, flags, body[start:middle], body[middle:position]),
                )
            )
            if len(records) > count_max:
                raise LinkError(
                    f"a frame holds more than {count_max} requests, which is beyond what was granted"
                )
    except error as cause:
        raise LinkError("a frame of requests ends in the middle of a record") from cause
    if position != end:
        raise LinkError("a frame of requests ends in the middle of a record")
    return records


def answer_record(call_id: int, result: Result, cached: bool, time_us: int) -> tuple[bytes, bytes, bytes]:
    """An answer's record, in parts to be joined."""
    layout = result.layout.encoded
    payload = result.payload
    status = CACHED if cached else COMPUTED
    return ANSWER.pack(call_id, status, min(time_us, U32_MAX), len(layout), len(payload)), layout, payload


def error_record(call_id: int, failure: ServeError) -> tuple[bytes, bytes, bytes]:
    """An error's record, in parts to be joined."""
    sentence = failure.message.encode("utf-8", "replace")[:SENTENCE_BYTES_MAX]
    retry_ms = min(int((failure.retry_after_s or 0) * 1000), U32_MAX)
    status = FIRST_ERROR + _NUMBER_OF[type(failure)]
    return ANSWER.pack(call_id, status, retry_ms, 0, len(sentence)), b"", sentence


def read_answers(body: bytes) -> tuple[int, list[AnswerRecord]]:
    """Cut the body of an ANSWERS frame into the reported queue depth and the records.

    Raises:
        LinkError: The lengths do not add up.
    """
    records = []
    size, unpack_from, end = ANSWER.size, ANSWER.unpack_from, len(body)
    try:
        (depth,) = DEPTH.unpack_from(body)
        position = DEPTH.size
        while position < end:
            call_id, status, time, layout_size, payload_size = unpack_from(body, position)
            start = position + size
            middle = start + layout_size
            position = middle + payload_size
            records.append(
                _new(AnswerRecord, (call_id, status, time, body[start:middle], body[middle:position]))
            )
    except error as cause:
        raise LinkError("a frame of answers ends in the middle of a record") from cause
    if position != end:
        raise LinkError("a frame of answers ends in the middle of a record")
    return depth, records


def error_of(record: AnswerRecord) -> ServeError:
    """The error an answer's record stands for.

    Raises:
        LinkError: No such error.
    """
    number = record.status - FIRST_ERROR
    if not 0 <= number < len(ANSWERS):
        raise LinkError(f"an answer has the unknown status {record.status}")
    sentence = record.payload.decode("utf-8", "replace")
    return ANSWERS[number](sentence, record.time / 1000 if record.time else None)


def cancel_body(call_ids: list[int]) -> bytes:
    """The body of a CANCEL frame."""
    return b"".join(DEPTH.pack(call_id) for call_id in call_ids)


def read_cancel(body: bytes) -> tuple[int, ...]:
    """The numbers in a CANCEL frame.

    Raises:
        LinkError: It is not a list of numbers.
    """
    if len(body) % DEPTH.size:
        raise LinkError("a cancel frame is no list of numbers")
    return unpack(f"<{len(body) // DEPTH.size}I", body)


def read_pong(body: bytes) -> Pong:
    """The body of a PONG frame.

    Raises:
        LinkError: It has another size.
    """
    if len(body) != PONG.size:
        raise LinkError("a pong has the wrong size")
    return Pong(*PONG.unpack(body))
