"""The services of gRPC over a backend, for any transport: everything here happens in the event loop."""

from __future__ import annotations

import logging
from time import monotonic
from typing import TYPE_CHECKING

from ringserve.errors import ServeError
from ringserve.net.grpc_pages import PLAIN, SLOW, watched
from ringserve.net.grpc_reply import GrpcCall
from ringserve.net.key_ring import KeyCheck
from ringserve.net.large_bodies import HeldBody
from ringserve.net.large_messages import decode_message
from ringserve.wire.grpc_reflection import Reflection
from ringserve.wire.oip_grpc import GrpcCodec
from ringserve.wire.oip_grpc_split import Parts, model_of, split
from ringserve.wire.proto.messages import HEALTH, REFLECTION, REFLECTION_ALPHA, SERVICE, methods

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping, Sequence

    from ringserve.core.signature import Salt
    from ringserve.core.tensor import ModelSpec
    from ringserve.net.backend import Backend
    from ringserve.net.grpc_reply import Reply
    from ringserve.net.key_ring import KeyRing
    from ringserve.net.large_bodies import LargeBodies
    from ringserve.wire.oip_grpc import GrpcRequest

log = logging.getLogger(__name__)
INFER = f"/{SERVICE}/ModelInfer"
STREAM = f"/{SERVICE}/ModelStreamInfer"
HEALTH_CHECK = f"/{HEALTH}/Check"
HEALTH_WATCH = f"/{HEALTH}/Watch"
REFLECT = f"/{REFLECTION}/ServerReflectionInfo"
REFLECT_ALPHA = f"/{REFLECTION_ALPHA}/ServerReflectionInfo"
OPEN = frozenset({f"/{SERVICE}/ServerLive", f"/{SERVICE}/ServerReady", HEALTH_CHECK, HEALTH_WATCH})
"""What needs no key: as `/health` over HTTP, whoever watches or balances servers asks for it."""
_CODECS_MAX = 1024
_HEADS_MAX = 256
_HEAD_KEPT_BYTES = 1024
"""Few heads come again and again: which model each names is kept, as reading it takes microseconds."""


class GrpcService:
    """Answers calls.

    Attributes:
        backend: Whose services these are.
        loop: The one event loop in which everything happens.
        keyed: Whether callers need a key.
        active_at: When a request last came or was settled, in seconds; watching the health is none.
    """

    def __init__(
        self, backend: Backend, keys: KeyRing | None, loop: asyncio.AbstractEventLoop, bodies: LargeBodies
    ) -> None:
        """Begin with no request."""
        self.backend = backend
        self._bodies = bodies
        self.loop = loop
        self.keyed = keys is not None
        self.active_at = 0.0
        self._check = None if keys is None else KeyCheck(keys)
        self._codecs: dict[int, GrpcCodec] = {}
        self._meant: dict[bytes, tuple[str, str]] = {}
        self._reflections = {REFLECT: Reflection(REFLECTION), REFLECT_ALPHA: Reflection(REFLECTION_ALPHA)}
        names = [method.full_name for service in (SERVICE, HEALTH) for method in methods(service)]
        self._outcomes: dict[tuple[str, str], int] = {(name.rpartition(".")[2], "OK"): 0 for name in names}

    def begin(
        self,
        method: str,
        data: bytes,
        left_s: float | None,
        shown: Sequence[tuple[bytes, bytes]],
        reply: Reply,
    ) -> None:
        """Take a request; its reply is settled now or later.

        Args:
            method: The path, such as `/inference.GRPCInferenceService/ModelInfer`.
            data: The message.
            left_s: How long the caller waits; None where it does not say.
            shown: The metadata; may be left out where no key is asked for.
            reply: Where the answer goes.
        """
        self._active(method)
        if reply.done:  # the caller left meanwhile
            return
        try:
            salt = self._let_in(method, shown)
            if method in (INFER, STREAM):
                self._infer(data, left_s, salt, reply)
            elif method == HEALTH_WATCH:
                reply.settle(watched(self.backend, data))
            elif method in self._reflections:
                reply.settle(self._reflections[method].answer(data))
            else:
                reply.settle(PLAIN[method](self.backend, data))
        except ServeError as error:
            reply.fail(error)

    async def begin_slowly(
        self, method: str, data: bytes, shown: Sequence[tuple[bytes, bytes]], reply: Reply
    ) -> None:
        """Like `begin`, for a method in `SLOW`: returns when its reply is settled."""
        self.active_at = monotonic()
        try:
            self._let_in(method, shown)
            reply.settle(await SLOW[method](self.backend, data))
        except ServeError as error:
            reply.fail(error)
        except Exception:
            log.exception("a request failed in an unforeseen way")
            reply.fail(ServeError("the server failed on this request; its log says why"))

    async def begin_large(
        self, data: bytes, left_s: float | None, shown: Sequence[tuple[bytes, bytes]], reply: Reply
    ) -> None:
        """Like `begin`, for an inference that takes long to read: returns when the backend has it."""
        self._active(INFER)
        held, now = HeldBody(self._bodies), monotonic()
        try:
            salt = self._let_in(INFER, shown)
            held.grow(len(data), len(data))
            codec = self._codec_of(split(data))
            wait_s = self.backend.request_timeout_s if left_s is None else left_s
            request = await decode_message(self._bodies, codec.spec, data, wait_s)
            if not reply.done:  # the caller may have left meanwhile
                self._submit(codec, request, now, left_s, salt, reply)
        except ServeError as error:
            reply.fail(error)
        except Exception:
            log.exception("a request failed in an unforeseen way")
            reply.fail(ServeError("the server failed on this request; its log says why"))
        finally:
            held.let_go()

    def count(self, method: str, code: str) -> None:
        """A request was settled."""
        self._active(method)
        key = method.rpartition("/")[2], code
        self._outcomes[key] = self._outcomes.get(key, 0) + 1

    def _active(self, method: str) -> None:
        """Something happens; but that somebody watches keeps no server from ending."""
        if method != HEALTH_WATCH:
            self.active_at = monotonic()

    def statistics(self) -> Mapping[tuple[str, str], int]:
        """How requests ended, by method and status code."""
        return dict(self._outcomes)

    def _let_in(self, method: str, shown: Sequence[tuple[bytes, bytes]]) -> Salt | None:
        check = self._check
        if check is None or method in OPEN:
            return None
        refusal = check.refusal_of(shown)
        if refusal is not None:
            raise refusal
        return check.salt

    def _infer(self, data: bytes, left_s: float | None, salt: Salt | None, reply: Reply) -> None:
        now = monotonic()
        parts = split(data)
        codec = self._codec_of(parts)
        self._submit(codec, codec.decode_parts(parts), now, left_s, salt, reply)

    def _submit(
        self,
        codec: GrpcCodec,
        request: GrpcRequest,
        now: float,
        left_s: float | None,
        salt: Salt | None,
        reply: Reply,
    ) -> None:
        backend = self.backend
        timeout_s = backend.request_timeout_s if left_s is None else left_s
        if request.timeout_s:
            timeout_s = min(timeout_s, request.timeout_s)
        signature, payload = request.signature, request.payload
        call = GrpcCall(signature.digest(payload, salt), signature, payload, now, now + timeout_s)
        call.reply = reply
        call.fresh = reply.fresh
        call.codec = codec
        call.request_id = request.request_id
        call.tops = request.tops
        reply.call = call
        backend.submit(call, monotonic())

    def _codec_of(self, parts: Parts) -> GrpcCodec:
        meant = self._meant.get(parts.head)
        if meant is None:
            meant = model_of(parts.head)
            if len(parts.head) <= _HEAD_KEPT_BYTES:
                if len(self._meant) >= _HEADS_MAX:
                    self._meant.clear()
                self._meant[parts.head] = meant
        spec = self.backend.codec(*meant).spec
        codec = self._codecs.get(id(spec))
        if codec is None or codec.spec is not spec:
            codec = self._new_codec(spec)
        return codec

    def _new_codec(self, spec: ModelSpec) -> GrpcCodec:
        if len(self._codecs) >= _CODECS_MAX:
            self._codecs.clear()
        codec = self._codecs[id(spec)] = GrpcCodec(spec)
        return codec
