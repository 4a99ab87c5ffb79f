import hashlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringserve.core.api_keys import KEYS_MAX, KeyTable, line_of, parse_keys, presented_key

LABELS = st.text(string.ascii_letters + string.digits + "_.-", min_size=1, max_size=64).filter(
    lambda label: label[0] not in "_.-"
)
KEYS = st.text(string.printable.strip(), min_size=1, max_size=60)
DIGEST = "sha256:" + "ab" * 32


@given(st.dictionaries(KEYS, LABELS, max_size=8), KEYS)
def test_a_file_lets_in_the_keys_it_was_made_of_and_no_other(known: dict[str, str], stranger: str) -> None:
    table = parse_keys("\n".join(line_of(label, key) for key, label in known.items()))
    assert len(table) == len(known)
    assert {key: table.label_of(key.encode()) for key in known} == known
    if stranger not in known:
        assert table.label_of(stranger.encode()) is None


def test_the_file_holds_no_key() -> None:
    assert line_of("shop", "secret") == "shop sha256:" + hashlib.sha256(b"secret").hexdigest()


def test_comments_and_empty_lines_are_passed_over() -> None:
    table = parse_keys(f"# keys\n\n  shop\t{line_of('shop', 'a').split()[1]}  # the first\n\r\n")
    assert (table.label_of(b"a"), table.labels) == ("shop", ("shop",))


def test_a_label_may_have_several_keys() -> None:
    table = parse_keys("\n".join([line_of("shop", "old"), line_of("job", "x"), line_of("shop", "new")]))
    assert table.label_of(b"old") == table.label_of(b"new") == "shop"
    assert table.labels == ("shop", "job")


def test_an_empty_file_lets_nobody_in() -> None:
    table = parse_keys("# none\n")
    assert len(table) == 0
    assert table.label_of(b"") is None


def test_the_digest_of_all_zeros_is_not_what_nobody_is_compared_with() -> None:
    assert KeyTable({bytes(32): "zero"}).label_of(b"x") is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("shop", "line 1: expected LABEL sha256:"),
        (f"# c\nshop {DIGEST} more", "line 2: expected LABEL sha256:"),
        ("shop sha256:abc", "line 1: expected LABEL sha256:"),
        ("shop md5:" + "ab" * 16, "line 1: expected LABEL sha256:"),
        (f"sh/op {DIGEST}", "line 1: 'sh/op' is no label"),
        (f"-shop {DIGEST}", "line 1: '-shop' is no label"),
        ("a" * 65 + f" {DIGEST}", "is no label"),
        (f"a {DIGEST}\na {DIGEST}\nb {DIGEST}", "line 3: b has the same key as a"),
    ],
)
def test_a_wrong_line_is_named(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_keys(text)


def test_a_wrong_line_shows_no_value() -> None:
    """Who pastes a key in place of its hash must not find it in a log."""
    with pytest.raises(ValueError, match="line 1") as caught:
        parse_keys("shop my-secret-key")
    assert "my-secret-key" not in str(caught.value)


def test_too_many_keys_are_refused() -> None:
    lines = [f"a sha256:{number:064x}" for number in range(KEYS_MAX)]
    assert len(parse_keys("\n".join(lines))) == KEYS_MAX
    with pytest.raises(ValueError, match=f"more than {KEYS_MAX}"):
        parse_keys("\n".join([*lines, f"a {DIGEST}"]))


@given(st.text(max_size=200))
def test_any_text_is_a_table_or_a_value_error(text: str) -> None:
    said = "line "
    try:
        parse_keys(text)
    except ValueError as error:
        said = str(error)
    assert said.startswith("line ")


@pytest.mark.parametrize(
    ("authorization", "x_api_key", "key"),
    [
        (None, None, None),
        (b"Bearer abc", None, b"abc"),
        (b"bearer  abc ", None, b"abc"),
        (b"Basic abc", None, None),
        (b"Bearer", None, None),
        (b"abc", b"xyz", b"xyz"),
        (b"Bearer abc", b"xyz", b"abc"),
        (None, b"xyz", b"xyz"),
    ],
)
def test_a_key_is_shown_in_either_header(
    authorization: bytes | None, x_api_key: bytes | None, key: bytes | None
) -> None:
    assert presented_key(authorization, x_api_key) == key


@given(st.binary(max_size=80) | st.none(), st.binary(max_size=80) | st.none())
def test_any_headers_show_a_key_or_none(authorization: bytes | None, x_api_key: bytes | None) -> None:
    key = presented_key(authorization, x_api_key)
    assert key is None or KeyTable({}).label_of(key) is None
