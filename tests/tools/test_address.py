from __future__ import annotations

import pytest

from ringserve.errors import UsageError
from ringserve.tools.address import Address, address_of


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("http://localhost:8000", Address("localhost", 8000)),
        ("http://localhost:8000/", Address("localhost", 8000)),
        ("localhost:8001", Address("localhost", 8001)),
        ("10.0.0.7", Address("10.0.0.7", 80)),
        ("http://[::1]:8000", Address("::1", 8000)),
        ("https://x:1", Address("x", 1, tls=True)),
        ("https://x", Address("x", 443, tls=True)),
    ],
)
def test_an_address_is_read_as_people_type_it(typed: str, expected: Address) -> None:
    assert address_of(typed, "--gateway") == expected
    assert address_of(expected.url, "--gateway") == expected


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "http://",
        "ftp://x",
        "x:port",
        "x:0",
        "x:70000",
        "http://[",
        "http://x:1/path",
        "x:1?y",
    ],
)
def test_what_is_no_server_is_refused_with_the_flag_and_the_value(typed: str) -> None:
    with pytest.raises(UsageError, match=r"--gateway: .*http://localhost:8000"):
        address_of(typed, "--gateway")
