"""Names and versions that are asked for: found, or answered with what is served instead."""

from __future__ import annotations

import pytest

from ringserve.core.asked_model import (
    NAMES_SHOWN_MAX,
    check_model,
    find_offer,
    no_model_named,
    no_such_model,
    no_such_version,
)
from ringserve.core.router.worker_state import Offer, Unready
from ringserve.core.tensor import ModelSpec
from ringserve.errors import BadRequest, NotFound, NotReady, ServeError


def offer(name: str, version: str = "1", default: bool = True) -> Offer:
    return Offer(0, ModelSpec(name, version, "d", (), (), False, 1, True, "cpu"), default)


ONE = (offer("m", "3"),)
TWO = (offer("m", "1", default=False), offer("m", "3"), offer("n"))
UNREADY = (Unready("k", "1", "LOADING", ""), Unready("u", "", "UNAVAILABLE", "its file is cut short"))


@pytest.mark.parametrize(
    ("name", "version", "default_model", "found"),
    [
        ("m", "", "", ("m", "3")),
        ("m", "1", "", ("m", "1")),
        ("n", "1", "", ("n", "1")),
        ("", "", "n", ("n", "1")),
        ("", "1", "m", ("m", "1")),
    ],
)
def test_a_model_is_found_by_name_and_version(
    name: str, version: str, default_model: str, found: tuple[str, str]
) -> None:
    spec = find_offer(name, version, TWO, UNREADY, default_model).spec
    assert (spec.name, spec.version) == found


def test_the_only_model_needs_no_name() -> None:
    assert find_offer("", "", ONE) is ONE[0]
    assert find_offer("", "", TWO[:2]).spec.version == "3"


@pytest.mark.parametrize(
    ("name", "version", "error", "sentence"),
    [
        ("x", "", NotFound, "there is no model 'x' here; 'm' and 'n' are served"),
        ("x" * 1000, "", NotFound, f"there is no model '{'x' * 100}' here"),
        ("m", "4", NotFound, "model 'm' has no version '4' here; versions '1' and '3' are served"),
        ("n", "4", NotFound, "model 'n' has no version '4' here; version '1' is served"),
        ("", "", BadRequest, "the request must name its model .*'m' and 'n' are served"),
        ("k", "", NotReady, "model 'k' version '1' is still loading"),
        ("k", "1", NotReady, "model 'k' version '1' is still loading"),
        ("k", "2", NotFound, "there is no model 'k' here"),
        ("u", "", NotFound, "model 'u' is not served now: its file is cut short"),
    ],
)
def test_what_is_not_served_is_told_with_what_is(
    name: str, version: str, error: type[ServeError], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        find_offer(name, version, TWO, UNREADY)


def test_a_version_that_is_not_ready_does_not_hide_those_that_are() -> None:
    loading = (Unready("m", "4", "LOADING", ""),)
    assert find_offer("m", "", TWO, loading).spec.version == "3"
    with pytest.raises(NotReady, match="version '4' is still loading"):
        find_offer("m", "4", TWO, loading)


def test_nothing_at_all_is_not_ready() -> None:
    with pytest.raises(NotReady, match="no model is ready"):
        find_offer("", "", ())
    with pytest.raises(NotFound, match="nor any other now"):
        find_offer("m", "", ())


def test_a_sentence_names_no_more_models_than_one_can_read() -> None:
    many = [offer(f"m{number}") for number in range(NAMES_SHOWN_MAX + 5)]
    with pytest.raises(NotFound, match=r"'m0', .*'m9' and 5 more are served"):
        find_offer("x", "", many)


@pytest.mark.parametrize("version", ["", "3"])
def test_what_is_served_may_be_asked_with_and_without_its_version(version: str) -> None:
    check_model(ONE[0].spec, "m", version)


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
        check_model(ONE[0].spec, name, version)


def test_many_models_are_named_as_a_sentence_says_them_and_of_very_many_the_first() -> None:
    assert no_such_model("x", []) == "there is no model 'x' here, nor any other now"
    assert no_such_model("x", ["a", "b", "c"]) == "there is no model 'x' here; 'a', 'b' and 'c' are served"
    assert no_such_version("a", "7", ["1", "3"]) == (
        "model 'a' has no version '7' here; versions '1' and '3' are served"
    )
    sentence = no_model_named([f"m{number}" for number in range(12)])
    assert sentence.startswith("the request must name its model (\"model\": \"m0\"), as 'm0', 'm1', ")
    assert sentence.endswith("'m9' and 2 more are served; or start the server with --default-model")
