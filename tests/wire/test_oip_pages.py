from dataclasses import replace

import pytest

from ringserve.core.router.worker_state import Offer, Unready
from ringserve.core.tensor import DType, ModelSpec, TensorSpec
from ringserve.errors import BadRequest
from ringserve.wire.oip_pages import (
    ModelStatistics,
    Page,
    index,
    index_asked,
    model_config,
    model_metadata,
    model_statistics,
    server_metadata,
)

INPUTS = (TensorSpec("x", DType.FP32, ("n", 3, None)), TensorSpec("s", DType.BYTES, ("n",)))
OUTPUTS = (TensorSpec("y", DType.INT64, ("n", 2)),)


def spec(*, batching: bool) -> ModelSpec:
    return ModelSpec("m", "1", "d", INPUTS, OUTPUTS, batching, 8 if batching else 1, batching, "cpu")


@pytest.mark.parametrize(("batching", "dims"), [(True, [3, -1]), (False, [-1, 3, -1])])
def test_metadata_and_config_agree(batching: bool, dims: list[int]) -> None:
    metadata, config = model_metadata(spec(batching=batching), ["1"]), model_config(spec(batching=batching))
    assert metadata["inputs"] == [
        {"name": "x", "datatype": "FP32", "shape": [-1, 3, -1]},
        {"name": "s", "datatype": "BYTES", "shape": [-1]},
    ]
    assert config["max_batch_size"] == (8 if batching else 0)
    assert config["input"] == [
        {"name": "x", "data_type": "TYPE_FP32", "dims": dims},
        {"name": "s", "data_type": "TYPE_STRING", "dims": dims[:-2] if not batching else []},
    ]
    assert config["response_cache"] == {"enable": batching}
    assert ("dynamic_batching" in config) == batching


def test_a_fixed_batch_of_a_model_that_does_not_batch_stays_in_its_shape() -> None:
    fixed = ModelSpec("m", "1", "d", (TensorSpec("x", DType.FP32, (1, 4)),), OUTPUTS, False, 1, True, "cpu")
    assert model_metadata(fixed, ["1"])["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [1, 4]}]


def test_statistics_are_in_nanoseconds() -> None:
    counted = ModelStatistics(
        answered=5, total_s=1.5, failed=2, hits=3, misses=4, rows=20, runs=6, queue_s=0.5, run_s=0.25
    )
    page = model_statistics(spec(batching=True), counted)
    assert (page["inference_count"], page["execution_count"]) == (20, 6)
    phases = page["inference_stats"]
    assert isinstance(phases, dict)
    assert phases["success"] == {"count": 5, "ns": 1_500_000_000}
    assert phases["fail"]["count"] == 2
    assert phases["queue"]["ns"] == 500_000_000
    assert phases["compute_infer"] == {"count": 6, "ns": 250_000_000}
    assert (phases["cache_hit"]["count"], phases["cache_miss"]["count"]) == (3, 4)


def test_the_server_names_itself_and_what_works() -> None:
    page = server_metadata("1.2")
    assert (page["name"], page["version"]) == ("ringserve", "1.2")
    assert isinstance(page["extensions"], list)
    assert "binary_tensor_data" in page["extensions"]


@pytest.mark.parametrize(
    ("body", "names"),
    [(b"", "nm"), (b"{}", "nm"), (b'{"ready":false}', "nm"), (b'{"ready":true,"more":1}', "n")],
)
def test_the_body_of_an_index_request_may_ask_for_what_is_ready_alone(body: bytes, names: str) -> None:
    rows: list[Page] = [{"name": "n", "state": "READY"}, {"name": "m", "state": "UNAVAILABLE"}]
    assert [row["name"] for row in index_asked(rows, body)] == list(names)


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"ready":1}', b"null", b'{"x":"' + b"a" * 5000 + b'"}'])
def test_another_body_of_an_index_request_is_refused_with_what_it_may_be(body: bytes) -> None:
    with pytest.raises(BadRequest, match="send one of these"):
        index_asked([], body)


def test_the_index_shows_what_is_ready_and_what_is_not_by_name_and_number_of_version() -> None:
    offers = [
        Offer(0, replace(spec(batching=True), name=name, version=version), default=True)
        for name, version in [("n", "1"), ("m", "10"), ("m", "9")]
    ]
    unready = [
        Unready("m", "11", "UNAVAILABLE", "its file is cut short"),
        Unready("m", "10", "UNAVAILABLE", "its new file is cut short"),
        Unready("k", "", "LOADING", ""),
    ]
    assert [tuple(row.values()) for row in index(offers, unready)] == [
        ("k", "", "LOADING", ""),
        ("m", "9", "READY", ""),
        ("m", "10", "READY", "its new file is cut short"),
        ("m", "11", "UNAVAILABLE", "its file is cut short"),
        ("n", "1", "READY", ""),
    ]


def test_metadata_name_all_versions_that_are_ready() -> None:
    assert model_metadata(spec(batching=True), ["1", "3"])["versions"] == ["1", "3"]
