"""The HTTP door without sockets: bytes in, answers out, on a loop whose clock stands until it is moved.

A stream is fed whole and in pieces. Whatever it holds: nothing but answers comes out, the same for both, each
call that was accepted is answered or taken back, no task is left, and every body that reached the model's
codec is one that another parser of HTTP, h11, sees in the same bytes: what two parsers read differently is
what requests are smuggled through.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import h11  # uvicorn brings it along
import orjson

from ringserve.core.asked_model import check_model
from ringserve.core.call import Call
from ringserve.core.router.worker_state import Offer, Unready
from ringserve.core.signature import Result, ResultLayout, TensorLayout
from ringserve.core.tensor import DType, ModelSpec, TensorSpec
from ringserve.errors import MethodNotAllowed
from ringserve.net.fast_path import HttpProtocol
from ringserve.net.listener import Listener
from ringserve.settings import defaults_for
from ringserve.wire.infer_json import Fields, InferCodec, InferRequest
from ringserve.wire.oip_pages import ModelStatistics

if TYPE_CHECKING:
    from ringserve.net.backend import Page

STREAM_MAX = 4096
HEAD_MAX = 1024
BODY_MAX = 512
SPEC = ModelSpec("m", "1", "d", (TensorSpec("x", DType.FP32, ("b", None)),), (), True, 32, True, "cpu")
WHAT_DIFFERS = re.compile(rb'"request_id":"x-\d+"|"inference_time_us":\d+')
ANSWER = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r\n]*\r\n((?:[^\r\n:]+: [^\r\n]*\r\n)*)\r\n")


class Loop(asyncio.SelectorEventLoop):
    """A loop whose time is told, and that notes what went wrong in it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.wrong: list[str] = []
        self.set_exception_handler(lambda _loop, context: self.wrong.append(repr(context)))

    def time(self) -> float:
        return self.now

    async def settle(self) -> None:
        """Run until nothing is ready."""
        ready = self._ready  # type: ignore[attr-defined]
        while ready:  # noqa: ASYNC110 - the queue of the loop itself sets no event
            await asyncio.sleep(0)

    async def pass_time(self, seconds: float) -> None:
        """Move the clock and run what fell due."""
        self.now += seconds
        await asyncio.sleep(0)
        await self.settle()


class Errors(logging.Handler):
    """Keeps what is logged as an error: a stranger's bytes must not be one."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(f"{record.getMessage()} {record.exc_info and record.exc_info[1]!r}")


class Wire(asyncio.Transport):
    """A transport that keeps what is written and hands over what is fed, unless reading is paused."""

    def __init__(self) -> None:
        super().__init__()
        self.out = bytearray()
        self.paused = self.ended = self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.ended, f"written after the end: {bytes(data)!r}"
        self.out += data

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.linked = protocol


class Link(asyncio.Protocol):
    """A link that takes anything."""


class Codec(InferCodec):
    """Keeps the bodies it was given."""

    def __init__(self) -> None:
        super().__init__(SPEC)
        self.bodies: list[bytes] = []

    def decode(self, body: bytes, fields: Fields | None = None) -> InferRequest:
        if fields is None:  # else what is refused would be kept twice
            self.bodies.append(body)
        return super().decode(body, fields)


class Echo:
    """A backend that answers with the input: at once, or in the loop's next turn."""

    request_timeout_s = 30.0

    def __init__(self, *, at_once: bool, links: bool) -> None:
        self.pages: Mapping[str, Page] = {"/health": lambda: (200, {"healthy": True})}
        self.waiting: dict[Call, None] = {}
        self.spoken = Codec()
        self._at_once = at_once
        self._links = links

    def state(self) -> str:
        return "ready"

    def healthy(self) -> bool:
        return True

    def offers(self) -> Sequence[Offer]:
        return (Offer(1, SPEC, default=True),)

    def unready(self) -> Sequence[Unready]:
        return ()

    async def control(self, action: str, name: str) -> None:
        raise MethodNotAllowed("nothing is loaded here")

    async def gather_statistics(self, specs: Sequence[ModelSpec]) -> list[ModelStatistics]:
        return [ModelStatistics(answered=0, total_s=0.0, failed=0) for _ in specs]

    def metrics(self, now: float) -> Any:  # noqa: ANN401 - nothing is shown
        return ()

    def codec(self, model: str = "", version: str = "") -> InferCodec:
        check_model(SPEC, model or SPEC.name, version)
        return self.spoken

    def submit(self, call: Call, now: float) -> None:
        self.waiting[call] = None
        if self._at_once:
            self._answer(call)
        else:
            asyncio.get_running_loop().call_soon(self._answer, call)

    def cancel(self, call: Call) -> None:
        self.waiting.pop(call, None)

    def link_protocol(self) -> asyncio.Protocol | None:
        return Link() if self._links else None

    def _answer(self, call: Call) -> None:
        if call not in self.waiting:
            return
        del self.waiting[call]
        layout = ResultLayout((TensorLayout("y", DType.FP32, call.signature.inputs[0].shape),))
        call.answer(Result(layout, call.payload), "echo", False, 1)


async def _serve(pieces: Iterable[bytes], *, at_once: bool, links: bool) -> tuple[bytes, list[bytes]]:
    """Serve one connection; returns what it wrote and the bodies it read."""
    loop = cast("Loop", asyncio.get_running_loop())
    backend = Echo(at_once=at_once, links=links)
    listener = Listener(defaults_for("worker"), backend)
    listener.head_max, listener.body_max, listener._id_prefix = HEAD_MAX, BODY_MAX, "x"
    wire = Wire()
    protocol = HttpProtocol(listener)
    protocol.connection_made(wire)
    for piece in pieces:
        await loop.settle()
        if wire.paused:
            await loop.pass_time(1.0)
        if wire.paused or wire.closed or hasattr(wire, "linked"):
            break
        protocol.data_received(piece)
    await loop.settle()
    await loop.pass_time(2.0)
    protocol.connection_lost(None)
    await loop.pass_time(2.0)
    assert not backend.waiting, "a call was neither answered nor taken back"
    assert asyncio.all_tasks() == {asyncio.current_task()}, "a task was left behind"
    return bytes(wire.out), backend.spoken.bodies


LOOP = Loop()
ERRORS = Errors()
logging.getLogger().addHandler(ERRORS)


def serve(pieces: Iterable[bytes], *, at_once: bool, links: bool) -> tuple[bytes, list[bytes]]:
    """Serve one connection, and fail if anything went wrong beside it."""
    ERRORS.seen.clear()
    LOOP.wrong.clear()
    result = LOOP.run_until_complete(_serve(pieces, at_once=at_once, links=links))
    for timer in LOOP._scheduled:  # type: ignore[attr-defined]
        timer.cancel()
    assert not LOOP.wrong, LOOP.wrong
    assert not ERRORS.seen, ERRORS.seen
    return result


def answers(out: bytes) -> Iterator[tuple[int, bytes]]:
    """Cut what was written into answers; anything else fails."""
    while out:
        head = ANSWER.match(out)
        assert head is not None, f"no answer: {out[:80]!r}"
        out = out[head.end() :]
        status = int(head[1])
        if status == 101:
            assert not out, "HTTP on a link"
            return
        if status != 100:
            length = re.search(rb"content-length: (\d+)\r\n", head[2])
            assert length is not None, head[0]
            body, out = out[: int(length[1])], out[int(length[1]) :]
            assert len(body) == int(length[1])
            assert status == 200 or set(orjson.loads(body)) == {"error"}, body
            yield status, WHAT_DIFFERS.sub(b"", body) if status == 200 else b""


def bodies_by_another_parser(stream: bytes) -> tuple[list[bytes], bool]:
    """The bodies that h11 reads, and whether it reads the stream without a complaint."""
    server = h11.Connection(h11.SERVER, max_incomplete_event_size=STREAM_MAX)
    server.receive_data(stream)
    bodies, body = [], b""
    try:
        while True:
            event = server.next_event()
            if isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                bodies.append(body)
                body = b""
                server.send(h11.Response(status_code=404, headers=[("content-length", "0")]))
                server.send(h11.EndOfMessage())
                if server.our_state is not h11.DONE or server.their_state is not h11.DONE:
                    return bodies, True
                server.start_next_cycle()
            elif not isinstance(event, h11.Request):
                return bodies, True
    except h11.RemoteProtocolError:
        return bodies, False


def check_http(data: bytes) -> None:
    """Two bytes say how the rest is served: flags of the backend, and the size of the pieces."""
    if len(data) < 2:
        return
    at_once, links, size = bool(data[0] & 1), bool(data[0] & 2), data[1] or 1
    stream = data[2 : 2 + STREAM_MAX]
    pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
    whole, bodies = serve([stream], at_once=at_once, links=links)
    parts, _ = serve(pieces, at_once=at_once, links=links)
    theirs, clean = bodies_by_another_parser(stream)
    if clean:
        left = iter(theirs)
        assert all(body in left for body in bodies), (bodies, theirs)
    if b"HEAD" in stream or b"ringserve-link" in stream:
        return  # answers without a body; a link that is refused while requests before it are pending
    one, other = list(answers(whole)), list(answers(parts))
    if all(status != 431 for status, _ in one + other):  # a head's length is counted by pieces
        assert_same(one, other)


def assert_same(one: list[tuple[int, bytes]], other: list[tuple[int, bytes]]) -> None:
    """Compare answers. A page may be answered before the end of its body, which is wrong perhaps."""
    if one != other:
        shorter, longer = sorted((without_refusal(one), without_refusal(other)), key=len)
        assert longer[: len(shorter)] == shorter, (one, other)
        assert len(longer) - len(shorter) <= 1, (one, other)


def without_refusal(said: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Answers without the one that closed the connection."""
    return said[:-1] if said and said[-1][0] in {400, 413} else said
