"""How a gateway opens a link: the HTTP Upgrade, its answer, and the proof of the fleet's secret."""

from __future__ import annotations

import ssl

from ringserve.net.fleet_secret import new_nonce
from ringserve.wire.frames import Kind, LinkError, frame
from ringserve.wire.hello import PROTOCOL, encode_gateway_hello
from ringserve.wire.proof import NONCE_HEADER, PROOF_HEADER, Role, is_nonce, is_proved, prove

HEAD_MAX = 16384
UNANSWERED_MAX = 3
"""So many attempts in a row that are closed without a word are no accident."""
_END = b"\r\n\r\n"


class NotReady(Exception):
    """Somebody is there but takes no link yet, or none any more."""


class Unwelcome(LinkError):
    """The two ends are not set up to be linked: nothing mends that by itself, so somebody must be told."""


class Unanswered(ConnectionResetError):
    """The connection was accepted, and closed without a byte: so end handshakes that a TLS server refuses."""


class Opening:
    """One attempt to open a link."""

    def __init__(self, address: str, secret: bytes | None) -> None:
        """Begin; `secret` is the fleet's, None where there is none."""
        self._address = address
        self._secret = secret
        self._nonce = new_nonce()
        self._worker_nonce = ""
        self._head = b""

    def request(self) -> bytes:
        """What to send first."""
        lines = ["GET / HTTP/1.1", f"Host: {self._address}", "Connection: Upgrade", f"Upgrade: {PROTOCOL}"]
        if self._secret is not None:
            lines.append(f"{NONCE_HEADER}: {self._nonce}")
        return "\r\n".join([*lines, "", ""]).encode()

    @property
    def is_unanswered(self) -> bool:
        """Whether not a byte has come back."""
        return not self._head

    def feed(self, data: bytes) -> bytes | None:
        """Take bytes of the answer; returns those behind its head, None where that is not whole yet.

        Raises:
            NotReady: The worker takes no link now.
            Unwelcome: It never will, as it and this gateway are set up.
            LinkError: It is no worker.
        """
        self._head += data
        head, found, rest = self._head.partition(_END)
        if not found:
            if len(head) > HEAD_MAX:
                raise LinkError("what answers there is no ringserve worker")
            return None
        self._look_at(head)
        return rest

    def hello(self) -> bytes:
        """The first frame; the answer must have been taken."""
        proof = ""
        if self._secret is not None:
            proof = prove(self._secret, Role.GATEWAY, self._nonce, self._worker_nonce)
        return frame(Kind.HELLO, encode_gateway_hello(self._address, proof))

    def _look_at(self, head: bytes) -> None:
        first, *lines = head.decode("latin-1").split("\r\n")
        status = first.split(" ", 2)[1] if first.startswith("HTTP/1.1 ") else ""
        if status == "503":
            raise NotReady("the worker takes no link now")
        if status == "403" and self._secret is None:
            raise Unwelcome("it asks for the fleet's secret; give this gateway the same --fleet-secret")
        if status == "403":
            raise Unwelcome("it asks for API keys and has no --fleet-secret by which gateways could be known")
        if status != "101":
            raise LinkError("what answers there is no ringserve worker")
        if self._secret is not None:
            parts = (line.partition(":") for line in lines)
            self._check({name.strip().lower(): value.strip() for name, _, value in parts}, self._secret)

    def _check(self, headers: dict[str, str], secret: bytes) -> None:
        """Let nobody pass for a worker who does not know the secret."""
        nonce, proof = headers.get(NONCE_HEADER.lower(), ""), headers.get(PROOF_HEADER.lower(), "")
        if not is_nonce(nonce):
            raise Unwelcome("it has no --fleet-secret, and this gateway has one; give it the same")
        if not is_proved(secret, Role.WORKER, self._nonce, nonce, proof):
            raise Unwelcome("it has another --fleet-secret than this gateway")
        self._worker_nonce = nonce


def complaint_of(error: Exception, unanswered: int, *, tls: bool) -> str:
    """What the operator must be told of a link that did not come about; empty where it may by itself.

    Args:
        error: How the last attempt ended.
        unanswered: How many attempts in a row were closed without a word.
        tls: Whether this gateway speaks TLS.
    """
    if unanswered >= UNANSWERED_MAX:
        cause = "asks for a certificate that this gateway does not show (--tls-cert, --tls-key)"
        cause = cause if tls else "speaks TLS and this gateway does not (--tls-ca, --link-tls on)"
        return f"it closes each connection without a word; perhaps it {cause}"
    if isinstance(error, Unwelcome):
        return str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message.rstrip('.')}; see --tls-ca"
    if not isinstance(error, ssl.SSLError):
        return ""
    reason = error.reason or ""
    if reason == "WRONG_VERSION_NUMBER":
        return "it does not speak TLS; give it --tls-cert and --tls-key, or this gateway --link-tls off"
    return f"TLS fails: {(reason or str(error)).replace('_', ' ').lower()}"
