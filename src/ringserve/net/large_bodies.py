"""Large JSON bodies: held within a bound, and decoded where nobody waits for it.

To decode 60 MB of JSON takes seconds, in which an event loop answers nobody, and a thread is no way out: the
decoder holds the interpreter. So a body above `LARGE_BODY_BYTES` goes to a process of its own, started with
the first one and gone after a while without any. Bodies are decoded one after the other: many at once would
take turns on the same cores, with all of their memory.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ringserve.core.signatures import Signatures
from ringserve.errors import DeadlinePassed, QueueFull, ServeError, TooLarge
from ringserve.limits import BODIES_BYTES_MAX, DECODER_IDLE_S, LARGE_BODY_BYTES
from ringserve.net.memory import hand_back_free_pages
from ringserve.wire.decoder import (
    ALL_JSON,
    OUTCOME,
    again_head,
    asked_of,
    job_head,
    named_in,
    request_id_of,
    which_head,
)
from ringserve.wire.infer_json import InferRequest, decode_infer
from ringserve.wire.oip_rest import RestRequest

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator

    from ringserve.core.signature import Signature
    from ringserve.core.tensor import ModelSpec
    from ringserve.wire.decoder import Outcome
    from ringserve.wire.infer_json import Choose, InferCodec
    from ringserve.wire.oip_rest import RestCodec

    Decoded = tuple[str | None, Signature, bytes, bytes]


_PIPE_BYTES = 1 << 20
_GIVE_BACK_BYTES = 32 << 20
"""Once so many bytes of bodies have been freed, and no more come, the machine gets their pages back."""
_MODELS_KNOWN_MAX = 64


class BodiesFull(QueueFull):
    """The server holds as many bytes of large bodies as it may; the connection closes."""


class HeldBody:
    """One body that arrives."""

    __slots__ = ("_bodies", "_counted", "size")

    def __init__(self, bodies: LargeBodies) -> None:
        """Nothing has arrived."""
        self._bodies = bodies
        self._counted = 0
        self.size = 0

    def grow(self, size: int, size_max: int) -> None:
        """More has arrived. What is small is not counted.

        Raises:
            TooLarge: It is longer than a body may be.
            BodiesFull: All bodies together are.
        """
        self.size += size
        if self.size > size_max:
            raise TooLarge(
                f"the body has more than {size_max} bytes, which is what this server takes; "
                "send less or raise --max-body-mb"
            )
        if self.size > LARGE_BODY_BYTES:
            self._bodies.hold(self.size - self._counted)
            self._counted = self.size

    def let_go(self) -> None:
        """It is decoded, or refused."""
        self._bodies.let_go(self._counted)
        self._counted = 0


class LargeBodies:
    """The bodies that one listener holds, and their decoder.

    Attributes:
        held_bytes: Bytes that have arrived and are not decoded yet.
        decoded: How many bodies the decoder was given.
    """

    def __init__(self) -> None:
        """No process is started before there is something to decode."""
        self.held_bytes = 0
        self.decoded = 0
        self._freed_bytes = 0
        self._freed_at_sweep = 0
        self._process: Process | None = None
        self._turn = asyncio.Lock()
        self._idle: asyncio.TimerHandle | None = None
        self._signatures: dict[tuple[str, str, str], Signatures] = {}

    def hold(self, size: int) -> None:
        """Make room for bytes that have arrived; `let_go` of them in the end.

        Raises:
            BodiesFull: There is none.
        """
        if self.held_bytes + size > BODIES_BYTES_MAX:
            raise BodiesFull(
                f"large bodies of {self.held_bytes} bytes wait to be decoded already; come again later", 1.0
            )
        self.held_bytes += size

    def let_go(self, size: int) -> None:
        """These bytes are decoded, or refused."""
        self.held_bytes -= size
        self._freed_bytes += size

    def sweep(self) -> None:
        """Give back what large bodies took, when none has come since the last sweep."""
        freed, before = self._freed_bytes, self._freed_at_sweep
        if freed == before and freed >= _GIVE_BACK_BYTES and not self.held_bytes:
            freed = self._freed_bytes = 0
            asyncio.get_running_loop().run_in_executor(None, hand_back_free_pages)
        self._freed_at_sweep = freed

    async def decode(
        self, choose: Choose, body: bytes, deadline_in_s: float
    ) -> tuple[InferCodec, InferRequest]:
        """Read a body of `/infer`, large or small, for the model that it names.

        Args:
            choose: Finds the codec of a model.
            body: The whole of it.
            deadline_in_s: Seconds until nobody waits any more.

        Raises:
            ServeError: It is refused, takes too long, or the decoder ended on it.
        """
        if len(body) <= LARGE_BODY_BYTES:
            return decode_infer(choose, body)
        async with self._turn_within(deadline_in_s):
            name, version = named_in(await self._ask(which_head(len(body)), body))
            codec = choose(name, version)
            decoded = await self._ask(again_head(codec.spec, version), b"")
        request_id, signature, _asked, payload = self._checked(codec.spec, decoded)
        return codec, InferRequest(request_id, signature, payload)

    async def decode_rest(
        self, codec: RestCodec, body: bytes, json_size: int | None, version: str, deadline_in_s: float
    ) -> RestRequest:
        """The same for a body of `/v2`; what counts is the JSON in it. Arguments as of `RestCodec.decode`."""
        if (len(body) if json_size is None else json_size) <= LARGE_BODY_BYTES:
            return codec.decode(body, json_size, version)
        size = ALL_JSON if json_size is None else json_size
        head = job_head(codec.spec, len(body), size, version)
        request_id, signature, asked, payload = await self.in_turn(codec.spec, head, body, deadline_in_s)
        timeout_us, outputs = asked_of(asked)
        return RestRequest(request_id, signature, payload, outputs, timeout_us)

    async def in_turn(self, spec: ModelSpec, head: bytes, body: bytes, deadline_in_s: float) -> Decoded:
        """Have the decoder read a body: its request id, signature, what it asks of its answer, and payload.

        Args:
            spec: The model.
            head: The job, see `wire.decoder`.
            body: The whole of it.
            deadline_in_s: Seconds until nobody waits any more.

        Raises:
            ServeError: It is refused, takes too long, or the decoder ended on it.
        """
        async with self._turn_within(deadline_in_s):
            outcome = await self._ask(head, body)
        return self._checked(spec, outcome)

    @asynccontextmanager
    async def _turn_within(self, deadline_in_s: float) -> AsyncIterator[None]:
        """Have the decoder for oneself."""
        try:
            async with asyncio.timeout(deadline_in_s), self._turn:
                yield
        except TimeoutError:
            sentence = (
                "the body was not decoded within the time the request had; send less, or binary tensors"
            )
            raise DeadlinePassed(sentence) from None

    def close(self) -> None:
        """End the decoder."""
        self._rest()

    async def _ask(self, head: bytes, body: bytes) -> Outcome:
        process = await self._awake()
        assert process.stdin is not None
        assert process.stdout is not None
        self.decoded += 1
        answered = False
        try:
            process.stdin.write(head)
            process.stdin.write(body)
            await process.stdin.drain()
            kind, *sizes = OUTCOME.unpack(await process.stdout.readexactly(OUTCOME.size))
            name, signature, asked, payload = [await process.stdout.readexactly(size) for size in sizes]
            answered = True
        except (OSError, EOFError) as error:  # an IncompleteReadError is an EOFError
            raise ServeError(
                "the body could not be decoded: its decoder ended; send less, or binary tensors"
            ) from error
        finally:
            if answered:
                self._idle = asyncio.get_running_loop().call_later(DECODER_IDLE_S, self._rest)
            else:
                self._kill()
        return kind, name, signature, asked, payload

    def _checked(self, spec: ModelSpec, outcome: Outcome) -> Decoded:
        """Hold what the decoder read against the model."""
        kind, name, signature, asked, payload = outcome
        request_id = request_id_of(kind, name)
        instance = spec.name, spec.version, spec.digest
        known = self._signatures.get(instance)
        if known is None:
            if len(self._signatures) >= _MODELS_KNOWN_MAX:
                self._signatures.clear()
            known = self._signatures[instance] = Signatures(spec)
        return request_id, known.find(signature), asked, payload

    async def _awake(self) -> Process:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "ringserve.net.decoder_process",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=_PIPE_BYTES,
                env={name: value for name, value in os.environ.items() if not name.startswith("RINGSERVE_")},
            )
        return self._process

    def _rest(self) -> None:
        """End the decoder by the end of its input."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()

    def _kill(self) -> None:
        """Whatever the decoder is at, nobody waits for it."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
