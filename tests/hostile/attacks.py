"""Requests that no decent client sends, each with what it must be told."""

from __future__ import annotations

from typing import NamedTuple

from tests.integration.servers import chunked, infer_body, request

GOOD = infer_body([1.0] * 64, request_id="good")
START = b"POST /infer HTTP/1.1\r\nHost: x\r\n"
CHUNKED = START + b"Transfer-Encoding: chunked\r\n\r\n"
LENGTH = b"%d" % len(GOOD)
CHUNK = b"%x\r\n%b\r\n" % (len(GOOD), GOOD)


class Attack(NamedTuple):
    """Bytes, and the statuses of their answers; a last status of 400 and more closes, unless `stays`."""

    name: str
    sent: bytes
    statuses: tuple[int, ...]
    stays: bool = False


def length(value: bytes) -> bytes:
    """A request with this Content-Length."""
    return START + b"Content-Length: " + value + b"\r\n\r\n" + GOOD


def coded(value: bytes) -> bytes:
    """A request with this Transfer-Encoding."""
    return START + b"Transfer-Encoding: " + value + b"\r\n\r\n" + CHUNK + b"0\r\n\r\n"


def page(line: bytes, *headers: bytes) -> bytes:
    """A request without a body."""
    return b"\r\n".join([line, b"Host: x", *headers, b"", b""])


SMUGGLED = [
    Attack(
        "length and coding",
        START + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        (400,),
    ),
    Attack(
        "coding and length",
        START + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        (400,),
    ),
    Attack("two equal lengths", length(LENGTH + b"\r\nContent-Length: " + LENGTH), (400,)),
    Attack("two lengths", length(LENGTH + b"\r\nContent-Length: 6"), (400,)),
    Attack("a list of lengths", length(LENGTH + b", " + LENGTH), (400,)),
    Attack("length with plus", length(b"+" + LENGTH), (400,)),
    Attack("length with minus", length(b"-5"), (400,)),
    Attack("length in hex", length(b"0x5"), (400,)),
    Attack("length with a gap", length(b"5 5"), (400,)),
    Attack("length with underscore", length(b"1_0"), (400,)),
    Attack("no length in length", length(b""), (400,)),
    Attack("length beyond 64 bits", length(b"9" * 40), (400,)),
    Attack("length of 64 bits", length(b"18446744073709551615"), (413,)),
    Attack("length in a second line", length(b"\r\n " + LENGTH), (400,)),
    Attack("a gap before the colon", START + b"Content-Length : 5\r\n\r\nabcde", (400,)),
    Attack("gzip, chunked", coded(b"gzip, chunked"), (400,)),
    Attack("chunked, identity", coded(b"chunked, identity"), (400,)),
    Attack("identity", coded(b"identity"), (400,)),
    Attack("xchunked", coded(b"xchunked"), (400,)),
    Attack("chunked twice", coded(b"chunked\r\nTransfer-Encoding: chunked"), (400,)),
    Attack("chunked after a vertical tab", coded(b"\x0bchunked"), (400,)),
    Attack("chunked in HTTP/1.0", coded(b"chunked").replace(b"HTTP/1.1", b"HTTP/1.0"), (400,)),
    Attack("chunked in capitals", coded(b"CHUNKED"), (200,)),
    Attack("bare line feeds", request(GOOD).replace(b"\r\n", b"\n"), (400,)),
    Attack("one bare line feed", START + b"A: b\nContent-Length: 5\r\n\r\nabcde", (400,)),
    Attack("a bare carriage return", START + b"A: b\rContent-Length: 5\r\n\r\nabcde", (400,)),
    Attack("zero byte in a name", START + b"A\0: b\r\n\r\n", (400,)),
    Attack("zero byte in a value", START + b"A: b\0c\r\n\r\n", (400,)),
    Attack("a folded header", START + b"A: b\r\n c\r\nContent-Length: 0\r\n\r\n", (400,)),
    Attack("a header without a name", START + b": b\r\n\r\n", (400,)),
    Attack("a gap before the first header", b"POST /infer HTTP/1.1\r\n A: b\r\n\r\n", (400,)),
    Attack("a chunk size that is none", CHUNKED + b"zz\r\n", (400,)),
    Attack("a negative chunk size", CHUNKED + b"-1\r\nx\r\n", (400,)),
    Attack("a chunk size with 0x", CHUNKED + b"0x5\r\nabcde\r\n0\r\n\r\n", (400,)),
    Attack("a chunk size beyond 64 bits", CHUNKED + b"f" * 17 + b"\r\nabc", (400,)),
    Attack("a chunk longer than it says", CHUNKED + b"5\r\nabcdeX\r\n0\r\n\r\n", (400,)),
    Attack("chunks with bare line feeds", CHUNKED + b"5\nabcde\n0\n\n", (400,)),
    Attack(
        "a chunk extension", CHUNKED + CHUNK.replace(b"\r\n", b';a=b;c="d"\r\n', 1) + b"0\r\n\r\n", (200,)
    ),
    Attack("a chunk extension without end", CHUNKED + b"5;" + b"a" * 200_000, (431,)),
    Attack("a trailer", CHUNKED + CHUNK + b"0\r\nX-Request-Timeout-Ms: no\r\n\r\n", (200,)),
    Attack("a trailer with a length", CHUNKED + CHUNK + b"0\r\nContent-Length: 5\r\n\r\n", (400,)),
    Attack("trailers without end", CHUNKED + CHUNK + b"0\r\n" + b"X-A: abc\r\n" * 30_000, (431,)),
    Attack("one trailer without end", CHUNKED + CHUNK + b"0\r\nA: " + b"x" * 1_000_000, (431,)),
    Attack("a wrong chunk behind good requests", request(GOOD) * 2 + CHUNKED + b"zz\r\n", (200, 200, 400)),
    Attack("a wrong chunk behind a page", page(b"GET /health HTTP/1.1") + CHUNKED + b"zz\r\n", (200, 400)),
    Attack("a good request behind a wrong one", CHUNKED + b"zz\r\n" + request(GOOD), (400,)),
]

ODD = [
    Attack("upgrade as curl --http2 asks", request(GOOD, "Connection: Upgrade, HTTP2-Settings",
           "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"), (200,)),
    Attack("upgrade to websocket", page(b"GET /health HTTP/1.1", b"Connection: Upgrade",
           b"Upgrade: websocket", b"Sec-WebSocket-Key: AAAA", b"Sec-WebSocket-Version: 13"), (200,)),
    Attack("upgrade with chunks", chunked(GOOD, "Connection: Upgrade", "Upgrade: foo"), (200,)),
    Attack("two upgrades", request(GOOD, "Connection: upgrade", "Upgrade: a", "Upgrade: b"), (200,)),
    Attack("a link behind a request", CHUNKED + CHUNK + b"0\r\n\r\n" + page(b"GET / HTTP/1.1",
           b"Connection: Upgrade", b"Upgrade: ringserve-link"), (200, 400)),
    Attack("CONNECT", page(b"CONNECT x:80 HTTP/1.1"), (400,)),
    Attack("CONNECT to a route", page(b"CONNECT /infer HTTP/1.1"), (400,)),
    Attack("absolute form", request(GOOD, path="http://x/infer"), (200,)),
    Attack("absolute form that is none", page(b"GET http://[::1/infer HTTP/1.1"), (400,)),
    Attack("absolute form without a path", page(b"GET http://host HTTP/1.1"), (400,)),
    Attack("a path without slash", page(b"GET infer HTTP/1.1"), (400,)),
    Attack("a path out of the tree", page(b"GET /../../etc/passwd HTTP/1.1"), (404,), stays=True),
    Attack("a path of escapes", page(b"GET /%ff%fe%00 HTTP/1.1"), (404,), stays=True),
    Attack("a path of high bytes", page(b"GET /\xff\xfe HTTP/1.1"), (400,)),
    Attack("a long path", page(b"GET /" + b"a" * 60_000 + b" HTTP/1.1"), (404,), stays=True),
    Attack("a path beyond the limit", page(b"GET /" + b"a" * 100_000 + b" HTTP/1.1"), (431,)),
    Attack("a path of a megabyte", page(b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1"), (431,)),
    Attack("a long header", page(b"GET /health HTTP/1.1", b"A: " + b"a" * 1_000_000), (431,)),
    Attack("thousands of headers", page(b"GET /health HTTP/1.1", *[b"a: b"] * 5_000), (200,)),
    Attack("too many headers", page(b"GET /health HTTP/1.1", *[b"a: b"] * 50_000), (431,)),
    Attack("HTTP/0.9", b"GET /health\r\n\r\n", (400,)),
    Attack("HTTP/1.0", b"GET /health HTTP/1.0\r\n\r\n", (200,)),
    Attack("HTTP/1.2", page(b"GET /health HTTP/1.2"), (400,)),
    Attack("HTTP/2.0 in a head", page(b"GET /health HTTP/2.0"), (400,)),
    Attack("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", (400,)),
    Attack("a hello of TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 500, (400,)),
    Attack("an unknown method", page(b"BREW /infer HTTP/1.1"), (400,)),
    Attack("a method in small letters", page(b"post /infer HTTP/1.1"), (400,)),
    Attack("a method of another route", page(b"DELETE /health HTTP/1.1"), (405,), stays=True),
    Attack("a length without a body's use", request(b"abcde", path="/health", method="GET") * 2, (200, 200)),
    Attack("no body", page(b"POST /infer HTTP/1.1"), (400,), stays=True),
    Attack("empty lines first", b"\r\n\r\n\r\n" + request(GOOD), (200,)),
    Attack("what follows the last request", request(GOOD, "Connection: close") + request(GOOD), (200,)),
]  # fmt: skip


def wrong_bodies() -> dict[str, tuple[bytes, int]]:
    """Bodies by name, with the status that each gets."""
    numbers = ",".join(["1"] * 63)

    def last(value: str) -> bytes:
        return f'{{"input_data":[{numbers},{value}]}}'.encode()

    return {
        "depth of lists": (b"[" * 100_000, 400),
        "depth of objects": (b'{"a":' * 100_000, 400),
        "depth within the field": (b'{"input_data":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400),
        "depth in an unknown field": (b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"," + last("1")[1:], 400),
        "infinity": (last("1e400"), 400),
        "NaN": (last("NaN"), 400),
        "too large for float32": (last("1e39"), 400),
        "a huge whole number": (last("9" * 4_000), 400),
        "a huge exponent": (last("1e" + "9" * 4_000), 400),
        "duplicate keys": (b'{"input_data":[9],' + last("1")[1:], 200),
        "an empty key": (b'{"":1,' + last("1")[1:], 200),
        "a lone surrogate": (b'{"request_id":"\\ud800",' + last("1")[1:], 400),
        "bad UTF-8": (b'{"request_id":"\xff",' + last("1")[1:], 400),
        "a zero in a name": (b'{"request_id":"\\u0000",' + last("1")[1:], 200),
        "a byte order mark": (b"\xef\xbb\xbf" + last("1"), 400),
        "a boolean": (last("true"), 400),
        "a text": (last('"1"'), 400),
        "null": (last("null"), 400),
        "an object": (last("{}"), 400),
        "a list at the end": (last("[1]"), 400),
        "an id that is a number": (b'{"request_id":1,' + last("1")[1:], 400),
        "no field": (b"{}", 400),
        "no object": (b"[1]", 400),
        "two documents": (last("1") * 2, 400),
        "one number too many": (last("1,1"), 400),
        "nothing": (b'{"input_data":[]}', 400),
        "nested lists": (b'{"input_data":[' + b"[1]," * 63 + b"[1]]}", 400),
        "ragged lists": (b'{"input_data":[[1,2],[3]]}', 400),
        "a million numbers": (b'{"input_data":[' + b"1," * 1_000_000 + b"1]}", 400),
        "a million empty lists": (b'{"input_data":[' + b"[]," * 300_000 + b"[]]}", 400),
    }
