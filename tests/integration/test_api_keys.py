"""API keys at both doors, by both ways: the fast path and the ordinary one."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ringserve.core.api_keys import line_of
from ringserve.models.digits import digits_path
from tests.integration.servers import Answer, Server, Servers, chunked, infer_body, request, until

BODY = infer_body([1.0] * 64, request_id="r")
SHOP, JOB = "key-of-the-shop", "key-of-the-job"
WAYS = (request, chunked)
"""A plain request goes the fast way, one with a chunked body the ordinary one."""


def bearer(key: str) -> str:
    return f"Authorization: Bearer {key}"


class Keys:
    """A file of keys that is replaced as an editor or a secret store does."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def hold(self, **keys: str) -> None:
        """Let in exactly these."""
        self.write("\n".join(line_of(label, key) for label, key in keys.items()))

    def write(self, text: str) -> None:
        """Put this in its place."""
        beside = self.path.with_suffix(".new")
        beside.write_text(text)
        beside.replace(self.path)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys(tmp_path_factory.mktemp("keys") / "keys.txt")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, keys: Keys) -> Iterator[tuple[Server, Server]]:
    """A gateway and a worker that ask for keys, linked by a secret."""
    folder = tmp_path_factory.mktemp("logs")
    (folder / "secret").write_text("0123456789abcdef0123456789abcdef")
    keys.hold(shop=SHOP, job=JOB)
    flags = ["--api-keys", str(keys.path), "--fleet-secret", str(folder / "secret"), "--cache-scope", "key"]
    with Servers(folder) as servers:
        worker = servers.worker(digits_path(), *flags)
        yield servers.gateway([worker], *flags), worker


@pytest.fixture(params=["gateway", "worker"])
def door(fleet: tuple[Server, Server], keys: Keys, request: pytest.FixtureRequest) -> Server:
    keys.hold(shop=SHOP, job=JOB)
    server = fleet[0] if request.param == "gateway" else fleet[1]
    until(lambda: all(status_of(server, key) == 200 for key in (SHOP, JOB)), server.log)
    return server


def status_of(server: Server, key: str) -> int:
    return server.ask(request(BODY, bearer(key))).status


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("header", [bearer(SHOP), f"X-API-Key: {SHOP}", f"authorization: bEARER  {SHOP} "])
def test_who_shows_a_key_is_served(door: Server, way: Callable[..., bytes], header: str) -> None:
    assert door.ask(way(BODY, header)).status == 200


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "headers",
    [
        (),
        (bearer("another"),),
        (bearer(""),),
        ("Authorization: Basic a2V5",),
        (f"Cookie: {SHOP}",),
        ("X-API-Key: another",),
        (bearer(SHOP), bearer("another")),
        (f"X-API-Key: {SHOP}", f"X-API-Key: {SHOP}"),
    ],
)
def test_who_shows_none_or_another_is_not(
    door: Server, way: Callable[..., bytes], headers: tuple[str, ...]
) -> None:
    answer = door.ask(way(BODY, *headers))
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "API key" in answer.error
    assert SHOP not in answer.error


def test_both_ways_refuse_alike(door: Server) -> None:
    heads = [re.sub(rb"date: [^\r]+", b"", way_head(door.ask(way(BODY)))) for way in WAYS]
    assert heads[0] == heads[1]


def way_head(answer: Answer) -> bytes:
    return answer.head + answer.body


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/health", 200),
        ("/health?x=1", 200),
        *(("/model", 401), ("/metrics", 401), ("/stats", 401), ("/nothing", 401)),
        *(
            ("/healthy", 401),
            ("/health/", 401),
            ("/%68ealth", 401),
            ("//health", 401),
            ("/health/../model", 401),
        ),
        ("http://x/infer", 401),
    ],
)
def test_only_health_is_open(door: Server, path: str, status: int) -> None:
    assert door.get(path).status == status


def test_the_offer_of_another_protocol_is_no_way_around(door: Server) -> None:
    offer = (
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
    )
    assert door.ask(request(BODY, *offer)).status == 401
    assert door.ask(request(BODY, *offer, bearer(SHOP))).status == 200


def test_each_request_of_a_connection_shows_its_own_key(door: Server) -> None:
    """What came before it was let in for is no reason to let the next one in."""
    good, none = request(BODY, bearer(SHOP)), request(BODY)
    with door.connect() as connection:
        connection.send(good + good + none + good)
        assert [connection.answer().status for _ in range(3)] == [200, 200, 401]
        assert connection.is_closed_by_peer()
    with door.connect() as connection:
        connection.send(good + request(BODY, bearer(JOB)) + request(BODY, bearer("another")))
        assert [connection.answer().status for _ in range(3)] == [200, 200, 401]


def test_a_key_that_is_taken_back_is_refused_on_open_connections_too(door: Server, keys: Keys) -> None:
    good = request(BODY, bearer(SHOP))
    with door.connect() as open_, door.connect() as other:
        assert open_.ask(good).status == 200
        keys.hold(job=JOB)
        until(lambda: status_of(door, SHOP) == 401, door.log)
        assert open_.ask(good).status == 401
        assert other.ask(request(BODY, bearer(JOB))).status == 200
    assert re.search(r"gone: .*shop", door.log())
    assert SHOP not in door.log()


def test_a_broken_file_leaves_the_keys_as_they_were_and_is_told_once(door: Server, keys: Keys) -> None:
    keys.write("shop sha256:oops\n")
    until(lambda: "the API keys stay as they were" in door.log(), door.log)
    told = door.log().count("the API keys stay as they were")
    assert (status_of(door, SHOP), status_of(door, "oops")) == (200, 401)
    keys.path.unlink()
    until(lambda: door.log().count("the API keys stay as they were") == told + 1, door.log)
    assert status_of(door, SHOP) == 200
    keys.hold(shop=SHOP, next=JOB)
    until(lambda: "new: next" in door.log(), door.log)
    assert status_of(door, JOB) == 200


def test_equal_inputs_of_two_callers_are_computed_for_each(door: Server) -> None:
    """With `--cache-scope key` the time of an answer tells nobody what others asked."""
    marks = iter(range(100, 200))
    for way in WAYS:
        body = infer_body([float(next(marks)), float(door.port), *[2.0] * 62])
        cached = [door.ask(way(body, bearer(key))).json["cached"] for key in (SHOP, JOB, SHOP, JOB)]
        assert cached == [False, False, True, True]


def test_callers_that_share_a_connection_do_not_share_its_answers(door: Server) -> None:
    """A proxy may send the requests of many over one connection, many in one read."""
    for mark in (300.0, 301.0):  # the second time, the server knows these heads
        body = infer_body([mark, float(door.port), *[2.0] * 62])
        one, other, slow = request(body, bearer(SHOP)), request(body, bearer(JOB)), chunked(body, bearer(JOB))
        with door.connect() as connection:
            connection.ask(one)
            connection.send(other + one + slow + one + other)
            answers = [connection.answer().json["cached"] for _ in range(5)]
        assert answers[1] is answers[3] is answers[4] is True
        assert answers[0] is False


def test_without_the_scope_answers_are_shared(tmp_path: Path) -> None:
    keys = Keys(tmp_path / "keys.txt")
    keys.hold(shop=SHOP, job=JOB)
    with Servers(tmp_path) as servers:
        worker = servers.worker(digits_path(), "--api-keys", str(keys.path))
        assert [worker.ask(request(BODY, bearer(key))).json["cached"] for key in (SHOP, JOB)] == [False, True]


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "cannot read"), ("shop\n", "line 1: expected LABEL"), (b"\xff", "can't decode byte")],
)
def test_a_wrong_file_ends_the_start_with_one_line(
    tmp_path: Path, content: str | bytes | None, says: str
) -> None:
    path = tmp_path / "keys.txt"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with Servers(tmp_path) as servers:
        for command in (
            ["worker", "0", "w", str(digits_path())],
            ["gateway", "h:1"],
            ["up", "--workers", "1"],
        ):
            port = ["--port", "0"] if command[0] != "worker" else []
            server = servers.start(*command, *port, "--api-keys", str(path))
            assert server.wait() == 2
            assert says in server.log()
            assert server.log().count("\n") == 1


def test_a_key_is_made_added_and_let_in_by_up(tmp_path: Path) -> None:
    """The commands of the manual, as a person types them."""
    path = tmp_path / "keys.txt"
    make = [sys.executable, "-m", "ringserve", "key"]
    made = subprocess.run([*make, "shop", "--add", str(path)], capture_output=True, text=True, check=True)
    key = made.stdout.strip()
    assert key not in path.read_text() + made.stderr
    assert path.stat().st_mode & 0o077 == 0
    with Servers(tmp_path) as servers:
        up = servers.up("--api-keys", str(path), workers=1).wait_ready()
        until(lambda: bool(up.get("/health").json["workers_up"] == 1), up.log)
        assert (status_of(up, key), status_of(up, key + "x")) == (200, 401)
        more = subprocess.run([*make, "shop", "--add", str(path)], capture_output=True, text=True, check=True)
        until(lambda: status_of(up, more.stdout.strip()) == 200, up.log)
        assert status_of(up, key) == 200
    wrong = subprocess.run([*make, "a b"], capture_output=True, text=True, check=False)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "is no label" in wrong.stderr
