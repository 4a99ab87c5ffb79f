import pytest

from ringserve.core.tensor import ModelSpec
from ringserve.errors import NotFound
from ringserve.wire.asked_model import check_model, no_model_named, no_such_model, no_such_version

SPEC = ModelSpec("m", "3", "d", (), (), False, 1, True, "cpu")


@pytest.mark.parametrize("version", ["", "3"])
def test_what_is_served_may_be_asked_with_and_without_its_version(version: str) -> None:
    check_model(SPEC, "m", version)


@pytest.mark.parametrize(
    ("name", "version", "sentence"),
    [
        ("n", "", "there is no model 'n' here; 'm' is served"),
        ("", "3", "there is no model '' here"),
        ("m" * 1000, "", f"there is no model '{'m' * 100}' here"),
        ("m", "4", "model 'm' has no version '4' here; version '3' is served"),
    ],
)
def test_anything_else_is_not_found_and_what_is_served_is_named(
    name: str, version: str, sentence: str
) -> None:
    with pytest.raises(NotFound, match=sentence):
        check_model(SPEC, name, version)


def test_many_models_are_named_as_a_sentence_says_them_and_of_very_many_the_first() -> None:
    assert no_such_model("x", []) == "there is no model 'x' here, nor any other now"
    assert no_such_model("x", ["a", "b", "c"]) == "there is no model 'x' here; 'a', 'b' and 'c' are served"
    assert no_such_version("a", "7", ["1", "3"]) == (
        "model 'a' has no version '7' here; versions '1' and '3' are served"
    )
    sentence = no_model_named([f"m{number}" for number in range(12)])
    assert sentence.startswith("the request must name its model (\"model\": \"m0\"), as 'm0', 'm1', ")
    assert sentence.endswith("'m9' and 2 more are served; or start the server with --default-model")
