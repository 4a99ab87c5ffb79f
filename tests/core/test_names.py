from __future__ import annotations

import pytest

from ringserve.core.names import compared, listed, named


def test_a_long_name_is_cut_and_of_many_the_first_are_shown() -> None:
    assert named("a'b") == '"a\'b"'
    assert len(named("x" * 1000)) == 102
    assert listed(["a", "b"]) == "['a', 'b']"
    assert listed([str(number) for number in range(25)]).endswith("'19'] and 5 more")


@pytest.mark.parametrize(
    ("got", "sentence"),
    [
        (["a"], "['a', 'b']; ['b'] is missing"),
        ([], "['a', 'b']; ['a', 'b'] are missing"),
        (["a", "b", "c"], "['a', 'b'], not 'c'"),
        (["a", "c"], "['a', 'b'], not 'c'; ['b'] is missing"),
        (["b", "a"], "['a', 'b'], got ['b', 'a']"),
    ],
)
def test_the_difference_is_told(got: list[str], sentence: str) -> None:
    assert compared(["a", "b"], got) == sentence


def test_a_sentence_stays_short_whatever_came() -> None:
    assert len(compared(["a"], [f"{number:0200}" for number in range(1000)])) < 2500
