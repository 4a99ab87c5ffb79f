from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringserve.console.resolve import resolve
from ringserve.errors import UsageError
from ringserve.settings import COMMANDS, defaults_for


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    return tmp_path / "ringserve.toml"


@pytest.mark.parametrize("command", COMMANDS)
def test_with_nothing_set_the_defaults_hold(command: str) -> None:
    found = resolve(command, {}, {})
    assert found.settings == defaults_for(command)
    assert set(found.origins.values()) == {"default"}


@pytest.mark.parametrize("flag", [None, "4"])
@pytest.mark.parametrize("variable", [None, "3"])
@pytest.mark.parametrize("key", [None, 2])
def test_flag_beats_environment_beats_file_beats_default(
    toml: Path, flag: str | None, variable: str | None, key: int | None
) -> None:
    toml.write_text(f"max-batch = {key}\n" if key is not None else "")
    environment = {"RINGSERVE_MAX_BATCH": variable} if variable is not None else {}
    found = resolve("worker", {"max_batch": flag}, environment, str(toml))
    best = flag or variable or key or 32
    assert found.settings == replace(defaults_for("worker"), max_batch=int(best))
    places = {
        "4": "flag --max-batch",
        "3": "environment RINGSERVE_MAX_BATCH",
        2: f"file {toml}",
        32: "default",
    }
    assert found.origins["max_batch"] == places[best]


def test_the_environment_may_name_the_file_and_the_flag_beats_it(toml: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    toml.write_text("threads = 1")
    other.write_text("threads = 2")
    environment = {"RINGSERVE_CONFIG": str(toml)}
    assert resolve("worker", {}, environment).settings.threads == 1
    assert resolve("worker", {}, environment, str(other)).settings.threads == 2


def test_keys_may_have_dashes_or_underscores_and_belong_to_any_command(toml: Path) -> None:
    toml.write_text("virtual-nodes = 7\nmax_batch = 9\n")
    assert resolve("worker", {}, {}, str(toml)).settings == replace(defaults_for("worker"), max_batch=9)
    assert resolve("gateway", {}, {}, str(toml)).settings == replace(defaults_for("gateway"), virtual_nodes=7)


@pytest.mark.parametrize("text", ["", "tcp://10.0.0.1:80"])
def test_what_kubernetes_injects_and_what_is_empty_is_not_set(text: str) -> None:
    environment = {"RINGSERVE_PORT": text, "RINGSERVE_GRPC_PORT": text, "RINGSERVE_SERVICE_HOST": "10.0.0.1"}
    assert resolve("gateway", {}, environment).settings == defaults_for("gateway")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("max-bach = 3", "{path}: unknown key 'max-bach'; did you mean 'max-batch'?"),
        ("zzzzzz = 3", "{path}: unknown key 'zzzzzz'; `ringserve config` shows all keys"),
        ("max-batch = 1\nmax_batch = 1", "{path}: 'max_batch' is given twice"),
        ("max-batch = '1x'", "{path}: max-batch: expected a whole number from 1 to 65536 (items), got '1x'"),
        ("virtual-nodes = true", "{path}: virtual-nodes: expected a whole number"),
        ("host = 1", "{path}: host: expected a word, got 1"),
        ("[worker]\nmax-batch = 1", "{path}: unknown key 'worker'"),
        ("max-batch", "--config: {path} is not TOML: "),
        ("port = " + "9" * 5000, "--config: {path} is not TOML: "),
        (
            "port = 0x" + "f" * 9000,
            "{path}: port: expected a whole number from 0 to 65535, got a huge number",
        ),
        ("a = " + "[" * 100_000, "--config: {path} is not TOML: "),
        (b"a = '\xff'", "--config: {path} is not TOML: "),
    ],
)
def test_a_wrong_file_is_one_sentence_that_names_the_key(
    toml: Path, content: str | bytes, sentence: str
) -> None:
    toml.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(UsageError) as caught:
        resolve("worker", {}, {}, str(toml))
    assert str(caught.value).startswith(sentence.format(path=toml))


def test_a_missing_file_names_who_asked_for_it(tmp_path: Path) -> None:
    missing = str(tmp_path / "no.toml")
    with pytest.raises(UsageError, match=r"^--config: cannot read .*no\.toml.*No such file"):
        resolve("up", {}, {}, missing)
    with pytest.raises(UsageError, match=r"^RINGSERVE_CONFIG: cannot read"):
        resolve("up", {}, {"RINGSERVE_CONFIG": missing})


def test_a_wrong_variable_is_named() -> None:
    with pytest.raises(UsageError, match=r"^RINGSERVE_MAX_BATCH: expected .* got 'many'"):
        resolve("worker", {}, {"RINGSERVE_MAX_BATCH": "many"})


def test_a_variable_of_another_command_is_not_looked_at() -> None:
    assert resolve("gateway", {}, {"RINGSERVE_MAX_BATCH": "many"}).settings == defaults_for("gateway")


@given(st.binary(max_size=200))
def test_any_file_is_settings_or_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(content)
    with suppress(UsageError):
        resolve("up", {}, {}, str(path))
