from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringserve.net.oip_paths import Oip, OipPath, read_path

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def path_of(route: Oip, model: str, version: str = "") -> str:
    name = quote(model, safe="") + (f"/versions/{quote(version, safe='')}" if version else "")
    return route.template.replace("{model}", name)


@given(st.sampled_from([Oip.LOAD, Oip.UNLOAD]), names)
def test_a_model_to_load_is_found_whatever_its_name(route: Oip, model: str) -> None:
    assert read_path(path_of(route, model)) == OipPath(route, model)


OF_A_MODEL = [route for route in Oip if route.template.startswith("/v2/models/{")]


@given(st.sampled_from(OF_A_MODEL), names, st.just("") | names)
def test_any_name_is_found_again(route: Oip, model: str, version: str) -> None:
    assert read_path(path_of(route, model, version)) == OipPath(route, model, version)


@pytest.mark.parametrize("route", [route for route in Oip if "{" not in route.template])
def test_a_path_without_a_model_is_found_with_and_without_a_slash_behind_it(route: Oip) -> None:
    assert read_path(route.template) == read_path(route.template + "/") == OipPath(route)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v22",
        "/v2x",
        "/v2/nothing",
        "/v2/models//infer",
        "/v2/models/m/infer/more",
        "/v2/models/m/versions",
        "/v2/models/m/versions/",
        "/v2/models/m/versions//infer",
        "/v2/models/%ff/infer",
        "/v2/models/m/versions/%ff/infer",
        "/v1/models/m/infer",
        "/v2/repository/models",
        "/v2/repository/models/m",
        "/v2/repository/models//load",
        "/v2/repository/models/m/versions/1/load",
        "/v2/repository/models/m/load/more",
        "/v2/repository/models/%ff/load",
        "/v2/models/m/load",
        "v2/models/m/infer",
    ],
)
def test_any_other_path_leads_nowhere(path: str) -> None:
    assert read_path(path) is None
