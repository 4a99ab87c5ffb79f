import math
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringserve.errors import UsageError
from ringserve.settings import Settings, flag_of
from ringserve.values import expected, plain, value_of

FIELDS = {spec.name: spec for spec in fields(Settings)}

anything = st.one_of(
    st.text(), st.integers(), st.floats(), st.booleans(), st.none(), st.lists(st.integers()), st.dates()
)


@given(st.sampled_from(sorted(FIELDS)), anything)
def test_anything_is_a_value_within_bounds_or_one_line(name: str, raw: object) -> None:
    spec = FIELDS[name]
    flag = flag_of(spec)
    try:
        value = value_of(spec, raw, "--it")
    except UsageError as error:
        sentence = str(error)
        assert sentence.startswith("--it: expected ")
        assert "\n" not in sentence
        return
    if isinstance(value, str):
        assert not flag.choices or value in flag.choices
    else:
        assert math.isfinite(value)
        assert flag.low <= value <= flag.high


@given(st.sampled_from(sorted(FIELDS)))
def test_a_default_written_plainly_is_read_as_itself(name: str) -> None:
    default = getattr(Settings(), name)
    assert value_of(FIELDS[name], plain(default), name) == default


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("max_batch", "64", 64),
        ("max_batch", 64.0, 64),
        ("max_wait_ms", "AUTO", "auto"),
        ("max_wait_ms", "250", 250.0),
        ("batch_policy", "Window", "window"),
        ("drain_grace_s", ".5", 0.5),
        ("host", "::", "::"),
        ("api_keys", "my keys.txt", "my keys.txt"),
        ("api_keys", "none", ""),
    ],
)
def test_good_values(name: str, raw: object, value: object) -> None:
    found = value_of(FIELDS[name], raw, name)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "raw", "sentence"),
    [
        ("max_batch", "x", "--f: expected a whole number from 1 to 65536 (items), got 'x'"),
        ("max_batch", "1.5", "--f: expected a whole number from 1 to 65536 (items), got '1.5'"),
        ("max_batch", True, "--f: expected a whole number from 1 to 65536 (items), got True"),
        ("port", "65536", "--f: expected a whole number from 0 to 65535, got '65536'"),
        ("max_wait_ms", "nan", "--f: expected auto or a number from 0 to 1000000000 (ms), got 'nan'"),
        ("batch_policy", "fast", "--f: expected eager or window, got 'fast'"),
        ("batching", 1, "--f: expected auto, off or on, got 1"),
        ("host", "a b", "--f: expected a word, got 'a b'"),
        ("tls_ca", "a\nb", "--f: expected a file's path, got 'a\\nb'"),
        ("host", "x" * 90 + " ", None),
    ],
)
def test_bad_values_name_the_rule_and_what_came(name: str, raw: object, sentence: str | None) -> None:
    if sentence is None:
        assert value_of(FIELDS[name], raw, "--f") == "x" * 90
        return
    with pytest.raises(UsageError) as caught:
        value_of(FIELDS[name], raw, "--f")
    assert str(caught.value) == sentence


def test_a_long_wrong_value_is_cut() -> None:
    with pytest.raises(UsageError) as caught:
        value_of(FIELDS["port"], "9" * 500, "--port")
    assert len(str(caught.value)) < 150


def test_what_is_expected_is_worded_for_each_setting() -> None:
    assert all(expected(spec) for spec in FIELDS.values())
