import tomllib

import pytest

from ringserve.core.repository.options import KEYS, ModelOptions, labels_of, options_of
from ringserve.errors import UsageError
from ringserve.settings import defaults_for


def read(text: str) -> ModelOptions:
    return options_of(tomllib.loads(text), "m/config.toml")


def test_nothing_said_leaves_everything_as_it_is() -> None:
    settings = defaults_for("worker")
    assert read("") == ModelOptions()
    assert read("").applied_to(settings) == settings


def test_options_replace_the_workers_settings() -> None:
    options = read("""
        max-batch = 8
        batch_timeout_ms = 5
        batch-policy = "window"
        provider = "cpu"
        max-wait-ms = "auto"
        cache-capacity = 0
        """)
    settings = options.applied_to(defaults_for("worker"))
    assert (settings.max_batch, settings.batch_timeout_ms, settings.batch_policy) == (8, 5.0, "window")
    assert (settings.provider, settings.max_wait_ms, settings.cache_capacity) == ("cpu", "auto", 0)


def test_versions_cache_and_labels_are_read() -> None:
    assert read("versions = [3, 1, 3]\ncache = true\nlabels = ['cat', 'dog']") == ModelOptions(
        cache=True, versions=(1, 3), labels=("cat", "dog")
    )
    assert read("versions = 'all'").versions == "all"
    assert read("versions = 2").versions == (2,)
    assert read("labels = 'labels.txt'").labels_file == "labels.txt"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("max-batch = 0", "max-batch: expected a whole number from 1 to 65536 (items), got 0"),
        ("batching = 'maybe'", "batching: expected auto, off or on, got 'maybe'"),
        ("cache = 'yes'", "cache: expected true or false, got 'yes'"),
        ("versions = []", "versions: expected 'latest', 'all' or a list such as [1, 3], got []"),
        ("versions = [0]", "versions: expected 'latest', 'all' or a list such as [1, 3], got [0]"),
        ("versions = [true]", "versions: expected 'latest', 'all' or a list such as [1, 3], got [True]"),
        ("labels = '../secret'", "labels: expected the name of a file beside it, got '../secret'"),
        ("labels = [1]", "labels: expected a list of words or the name of a file, got [1]"),
        ("max-batches = 3", "unknown key 'max-batches'; did you mean 'max-batch'?"),
        (
            "max-batch = 3\nmax_batch = 3",
            "'max_batch' is given twice, with dashes and with underscores; keep one",
        ),
    ],
)
def test_what_is_wrong_is_a_sentence_that_names_the_file_and_the_key(text: str, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(text)
    assert str(caught.value) == f"m/config.toml: {sentence}"


def test_a_key_that_is_like_none_is_answered_with_all_that_there_are() -> None:
    with pytest.raises(UsageError) as caught:
        read("zzz = 1")
    assert all(key in str(caught.value) for key in KEYS)


def test_labels_are_bounded() -> None:
    with pytest.raises(UsageError, match="there may be 65536 labels at most, got 65537"):
        labels_of(["x"] * 65537, "labels.txt")
    with pytest.raises(UsageError, match="a label may have 1000 characters, got 1001"):
        labels_of(["x" * 1001], "labels.txt")
