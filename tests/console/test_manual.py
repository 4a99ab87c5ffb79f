from hypothesis import given
from hypothesis import strategies as st

from ringserve.console.manual import spread

WORDS = st.lists(st.sampled_from(["--workers", "--gateway", "--json", "a", "b", "c"]), max_size=12)


def naive(words: list[str]) -> list[str]:
    """All words up to the next flag belong to `--workers`."""
    out: list[str] = []
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        values: list[str] = []
        if word == "--workers":
            while position < len(words) and not words[position].startswith("-"):
                values.append(words[position])
                position += 1
        if values:
            out += [part for value in values for part in ("--workers", value)]
        else:
            out.append(word)
    return out


@given(WORDS)
def test_an_option_of_many_words_is_repeated_before_each(words: list[str]) -> None:
    assert spread(words, ["--workers"]) == naive(words)


def test_other_options_are_left_alone() -> None:
    words = ["--workers", "a", "b", "--gateway", "x", "y"]
    assert spread(words, ["--workers"]) == ["--workers", "a", "--workers", "b", "--gateway", "x", "y"]
