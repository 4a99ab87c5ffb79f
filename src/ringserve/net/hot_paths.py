"""The paths of the fast way: where a plain request for inference leads, and the call that it becomes.

There are two kinds: `/infer`, and `/v2/models/.../infer` for each model that somebody asks for. Those of
the second kind are made when they are first seen, and few are kept: a stranger may make up as many names as
there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ringserve.errors import ServeError
from ringserve.net.deadline_header import deadline_of
from ringserve.net.http_call import InferCall, RestCall
from ringserve.net.json_size import json_size_of
from ringserve.net.oip_pages import served_model
from ringserve.net.oip_paths import Oip, OipPath, read_path
from ringserve.wire.infer_json import decode_infer, named_model, read_object

if TYPE_CHECKING:
    from ringserve.core.signature import Salt
    from ringserve.net.http_call import HttpCall
    from ringserve.net.listener import Listener
    from ringserve.net.plain_head import PlainHead

PATHS_MAX = 256
_INFER = b"/infer"
_LENGTH_MAX = 512
_NOT_PLAIN = (b"?", b"#")


class HotPath(Protocol):
    """One of them.

    Attributes:
        counts: Where outcomes are counted.
        packs: Whether its answers are packed where the caller's Accept-Encoding asks for it.
    """

    counts: list[int]
    packs: bool

    def call(self, body: bytes, head: PlainHead, salt: Salt | None, now: float) -> HttpCall:
        """Read a request.

        Raises:
            ServeError: It cannot be answered.
        """


class InferPath:
    """`/infer`."""

    __slots__ = ("_listener", "_named", "counts", "packs")

    def __init__(self, listener: Listener, counts: list[int]) -> None:
        """Lead to this listener's backend."""
        self._listener = listener
        self._named = False
        self.counts = counts
        self.packs = False

    def call(self, body: bytes, head: PlainHead, salt: Salt | None, now: float) -> HttpCall:
        """Read a request, see `HotPath`."""
        listener = self._listener
        backend = listener.backend
        deadline = deadline_of(head.timeout, now, backend.request_timeout_s)
        if self._named:  # whoever named a model in the last one does so in this one too
            fields = read_object(body)
            name, version = named_model(fields)
            self._named = name != "" or version != ""
            codec = backend.codec(name, version)
            request = codec.decode_for(version, body, fields)
        else:
            try:
                codec = backend.codec()
                request = codec.decode(body)
            except ServeError:  # it names a model, or the strict way words what is wrong with it
                codec, request = decode_infer(backend.codec, body)
                self._named = True
        call = InferCall(request.signature, request.payload, salt, now, deadline)
        call.codec = codec
        request_id = request.request_id
        call.request_id = listener.new_request_id() if request_id is None else request_id
        return call


class RestPath:
    """`/v2/models/MODEL[/versions/VERSION]/infer`."""

    __slots__ = ("_listener", "_path", "counts", "packs")

    def __init__(self, listener: Listener, path: OipPath, counts: list[int]) -> None:
        """Lead to this model of this listener's backend."""
        self._listener = listener
        self._path = path
        self.counts = counts
        self.packs = True

    def call(self, body: bytes, head: PlainHead, salt: Salt | None, now: float) -> HttpCall:
        """Read a request, see `HotPath`."""
        backend, path = self._listener.backend, self._path
        deadline = deadline_of(head.timeout, now, backend.request_timeout_s)
        json_size = json_size_of(head.json_size)
        codec = self._listener.rest_codec(served_model(backend, path))
        request = codec.decode(body, json_size, path.version)
        if request.timeout_us:
            deadline = min(deadline, now + request.timeout_us / 1e6)
        call = RestCall(request.signature, request.payload, salt, now, deadline)
        call.codec = codec
        call.request = request
        return call


class HotPaths:
    """The hot paths of one listener, by the bytes of the request line."""

    __slots__ = ("_found", "_infer", "_listener")

    def __init__(self, listener: Listener) -> None:
        """Know `/infer`."""
        self._listener = listener
        self._infer = InferPath(listener, listener.outcomes.of("/infer"))
        self._found: dict[bytes, HotPath] = {_INFER: self._infer}

    def find(self, url: bytes) -> HotPath | None:
        """The path that a request line leads to; None where the request must go the ordinary way."""
        return self._found.get(url) or self._look(url)

    def _look(self, url: bytes) -> HotPath | None:
        if not url.startswith(b"/v2/models/") or len(url) > _LENGTH_MAX or any(c in url for c in _NOT_PLAIN):
            return None
        path = read_path(url.decode("latin-1"))
        if path is None or path.route is not Oip.INFER:
            return None
        if len(self._found) > PATHS_MAX:
            self._found = {_INFER: self._infer}
        counts = self._listener.outcomes.of(Oip.INFER.template)
        found = self._found[url] = RestPath(self._listener, path, counts)
        return found
