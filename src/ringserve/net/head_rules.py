"""What the head of a request must not say, whatever way the request would go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringserve.errors import BadRequest, ServeError, TooLarge

if TYPE_CHECKING:
    from collections.abc import Iterable

VERSIONS = ("1.1", "1.0")
_OFFER = (b"upgrade", b"connection", b"http2-settings")


def refusal_of(
    version: str, method: bytes, coding: bytes | None, length: bytes | None, lengths: int, body_max: int
) -> ServeError | None:
    """Why a head is refused; None where it is fine.

    The parser has its own strictness; what is refused here is what it lets through and another server in
    front of this one might read in another way, which is what request smuggling is made of.

    Args:
        version: Of HTTP, as the parser tells it.
        method: The method, in upper case.
        coding: Transfer-Encoding in lower case, several joined by commas.
        length: The last Content-Length.
        lengths: How many there are.
        body_max: The longest body, in bytes.
    """
    if version not in VERSIONS:
        return BadRequest(f"this server speaks HTTP/1.1 and HTTP/1.0, not HTTP/{version}")
    if method == b"CONNECT":
        return BadRequest("this server is no proxy: it takes no CONNECT")
    if coding is not None:
        if lengths > 0:
            return BadRequest("a request has Content-Length or Transfer-Encoding, not both")
        if coding.strip() != b"chunked":
            return BadRequest("Transfer-Encoding must be chunked")
        if version != "1.1":
            return BadRequest("HTTP/1.0 has no Transfer-Encoding")
    if lengths > 1:
        return BadRequest("a request has one Content-Length")
    if length is not None and length.strip().isdigit() and int(length) > body_max:
        return TooLarge(
            f"the body has {int(length)} bytes, this server takes {body_max}; "
            "send less or raise --max-body-mb"
        )
    return None


def without_offer(method: bytes, url: bytes, version: str, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The same head without its offer of another protocol."""
    lines = [b"%b %b HTTP/%b" % (method, url, version.encode())]
    lines += [b"%b: %b" % header for header in headers if header[0] not in _OFFER]
    return b"\r\n".join([*lines, b"", b""])
