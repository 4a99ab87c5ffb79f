from hypothesis import given
from hypothesis import strategies as st

from ringserve.core.repository.layout import FoundVersion, Stamp, find_models

PART = st.sampled_from(
    ["a", "b", "1", "2", "01", "0", ".hidden", "model.onnx", "model.ort", "a.onnx", "config.toml"]
)
PATHS = st.lists(PART, min_size=1, max_size=4).map("/".join)
LISTINGS = st.dictionaries(PATHS, st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12)


def listing(*paths: str) -> dict[str, Stamp]:
    return {path: (len(path), number) for number, path in enumerate(paths)}


def versions(*paths: str) -> dict[str, list[tuple[int, str]]]:
    found = find_models(listing(*paths))
    assert [model.problem for model in found.values()] == [""] * len(found)
    return {name: [(one.version, one.path) for one in model.versions] for name, model in found.items()}


def test_three_layouts_stand_side_by_side() -> None:
    assert versions("b/model.onnx", "c/10/model.ort", "c/2/model.onnx", "a.onnx", "d.v2.ort") == {
        "a": [(1, "a.onnx")],
        "b": [(1, "b/model.onnx")],
        "c": [(2, "c/2/model.onnx"), (10, "c/10/model.ort")],
        "d.v2": [(1, "d.v2.ort")],
    }


def test_what_is_hidden_or_no_model_or_no_version_is_left_alone() -> None:
    hidden = (".a.onnx", ".git/model.onnx", "b/.1/model.onnx", ".onnx")
    no_version = ("c/0/model.onnx", "c/01/model.onnx", "c/x/model.onnx", "c/٣/model.onnx", "c/1/2/model.onnx")
    assert versions(*hidden, *no_version, "c/1/other.onnx", "notes.txt", "a.onnx.data", "c/model.txt") == {}


def test_a_model_that_stands_there_twice_is_a_problem_that_names_both_files() -> None:
    for paths in (
        ("a.onnx", "a.ort"),
        ("a.onnx", "a/model.onnx"),
        ("a.onnx", "a/2/model.onnx"),
        ("a/1/model.onnx", "a/1/model.ort"),
        ("a/2/model.onnx", "a/model.onnx"),
    ):
        found = find_models(listing(*paths, "b.onnx"))
        assert found["a"].versions == ()
        assert all(path in found["a"].problem for path in paths), found["a"].problem
        assert found["b"].problem == ""


def test_options_stand_beside_the_model() -> None:
    found = find_models(listing("a.onnx", "b/model.onnx", "c/1/model.onnx"))
    assert [found[name].options for name in "abc"] == ["a.toml", "b/config.toml", "c/config.toml"]


def test_the_files_of_a_version_are_what_lies_beside_it_and_not_its_options() -> None:
    stamps = listing(
        "a.onnx", "a.onnx.data", "a.b.onnx", "a.toml", "b/model.onnx", "b/weights.bin", "b/config.toml",
        "c/1/model.onnx", "c/1/w", "c/labels.txt", "c/2/model.onnx",
    )  # fmt: skip
    found = find_models(stamps)

    def files(version: FoundVersion) -> list[str]:
        assert all(stamps[path] == stamp for path, stamp in version.files)
        return [path for path, _ in version.files]

    assert files(found["a"].versions[0]) == ["a.onnx", "a.onnx.data"]
    assert files(found["b"].versions[0]) == ["b/model.onnx", "b/weights.bin"]
    assert [files(version) for version in found["c"].versions] == [
        ["c/1/model.onnx", "c/1/w"],
        ["c/2/model.onnx"],
    ]


@given(LISTINGS)
def test_any_listing_gives_models_whose_files_are_in_it(stamps: dict[str, Stamp]) -> None:
    found = find_models(stamps)
    assert list(found) == sorted(found)
    for name, model in found.items():
        assert name == model.name
        assert bool(model.problem) != bool(model.versions)
        numbers = [version.version for version in model.versions]
        assert numbers == sorted(set(numbers))
        for version in model.versions:
            assert version.version >= 1
            assert (version.path, stamps[version.path]) in version.files
            assert all(stamps[path] == stamp for path, stamp in version.files)
            assert not any(part.startswith(".") for part in version.path.split("/"))
