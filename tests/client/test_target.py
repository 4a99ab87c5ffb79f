from __future__ import annotations

import ssl

import pytest

from ringserve.client.target import target_of


@pytest.mark.parametrize(
    ("url", "host", "port", "prefix", "shown"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1", 8000, "", b"Host: 127.0.0.1:8000\r\n"),
        ("http://models", "models", 80, "", b"Host: models\r\n"),
        ("http://[::1]:8000/a/b/", "::1", 8000, "/a/b", b"Host: [::1]:8000\r\n"),
        ("https://bücher.example", "xn--bcher-kva.example", 443, "", b"Host: xn--bcher-kva.example\r\n"),
    ],
)
def test_a_url_says_where_to_go(url: str, host: str, port: int, prefix: str, shown: bytes) -> None:
    target = target_of(url, None, None)
    assert (target.host, target.port, target.prefix) == (host, port, prefix)
    assert shown in target.headers
    assert (target.tls is not None) == url.startswith("https")


def test_a_key_is_shown_and_cannot_smuggle_a_header() -> None:
    assert b"Authorization: Bearer a-key\r\n" in target_of("http://h", "a-key", None).headers
    for key in ("", "a\r\nX: y", "schlüssel"):
        with pytest.raises(ValueError, match="API key"):
            target_of("http://h", key, None)


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8000",
        "ftp://h",
        "http://",
        "http://h:x",
        "http://h?a=b",
        "http://u:p@h",
        "http://h/a b",
        "",
    ],
)
def test_what_is_no_url_of_a_server_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|quoted"):
        target_of(url, None, None)


def test_tls_needs_https() -> None:
    with pytest.raises(ValueError, match="no https URL"):
        target_of("http://h", None, ssl.create_default_context())
