import pytest

from ringserve.core.tensor import ModelSpec
from ringserve.errors import NotFound
from ringserve.wire.asked_model import check_model

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
