import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringserve.console.addresses import check_workers, parse_address
from ringserve.errors import UsageError


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("localhost:8001", ("localhost", 8001)),
        ("LOCALHOST:8001", ("localhost", 8001)),
        ("10.0.0.1:65535", ("10.0.0.1", 65535)),
        ("[::1]:8001", ("::1", 8001)),
        ("[0:0::1]:1", ("::1", 1)),
        ("worker-1.svc.cluster.local:80", ("worker-1.svc.cluster.local", 80)),
        ("worker_1:80", ("worker_1", 80)),
    ],
)
def test_addresses_are_host_and_port(text: str, parts: tuple[str, int]) -> None:
    assert parse_address(text) == parts


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "expected HOST:PORT"),
        ("8001", "expected HOST:PORT"),
        (":8001", "expected HOST:PORT"),
        ("localhost:", "expected a port from 1 to 65535"),
        ("localhost:0", "expected a port from 1 to 65535"),
        ("localhost:65536", "expected a port"),
        ("localhost:²", "expected a port"),
        ("localhost:99999999999999", "expected a port"),
        ("http://localhost:8001", "without a scheme"),
        ("::1:8001", "in brackets"),
        ("[nope]:8001", "no IPv6 address"),
        ("a b:8001", "no host name"),
        ("-a:8001", "no host name"),
    ],
)
def test_what_is_no_address_is_told_with_the_rule(text: str, part: str) -> None:
    with pytest.raises(UsageError, match=part):
        parse_address(text)


@given(st.text())
def test_any_text_is_an_address_or_a_usage_error(text: str) -> None:
    try:
        host, port = parse_address(text)
    except UsageError:
        return
    assert host
    assert 1 <= port <= 65535


def test_no_worker_and_a_worker_twice_are_refused() -> None:
    check_workers(["localhost:8001", "localhost:8002"])
    with pytest.raises(UsageError, match="name each as HOST:PORT"):
        check_workers([])
    with pytest.raises(UsageError, match=r"'LOCALHOST:8001' is given twice"):
        check_workers(["localhost:8001", "LOCALHOST:8001"])
    with pytest.raises(UsageError, match="twice"):
        check_workers(["[::1]:8001", "[0::1]:8001"])
