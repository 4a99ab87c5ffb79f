from __future__ import annotations

import json
import socket

import pytest

from ringserve.errors import UsageError
from ringserve.tools.bench import run_bench
from ringserve.tools.options import BenchOptions
from tests.tools.stand_in import Gateway, StandIn, fleet, served


def printed(capsys: pytest.CaptureFixture[str], options: BenchOptions, status: int = 0) -> str:
    assert run_bench(options) == status
    out, err = capsys.readouterr()
    assert err == ""
    assert "\x1b" not in out
    return out


def test_the_report_says_throughput_latency_shares_and_draws_a_histogram(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with fleet() as gateway:
        out = printed(capsys, BenchOptions(gateway=gateway.url, requests=200, threads=4))
    for label in ("Total requests", "Success rate", "Requests/sec", "Mean", "Median", "P90", "P95", "P99"):
        assert label in out
    assert "100.00%" in out
    assert "worker_3" in out
    assert "█" in out
    assert "C++" not in out
    assert all(len(line) <= 80 for line in out.splitlines())


def test_json_holds_everything_and_nothing_else_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with fleet() as gateway:
        out = printed(capsys, BenchOptions(gateway=gateway.url, requests=720, as_json=True))
        counted = {worker.name: worker.requests for worker in gateway.workers}
    report = json.loads(out)
    assert (report["requests"], report["succeeded"], report["failed"], report["not_sent"]) == (720, 720, 0, 0)
    assert report["distinct_inputs"] == 360
    assert report["hit_rate"] == pytest.approx(0.5)
    assert {worker["node_id"]: worker["requests"] for worker in report["workers"]} == counted
    assert sum(worker["share"] for worker in report["workers"]) == pytest.approx(1)
    assert sum(bucket["count"] for bucket in report["histogram"]) == 720
    assert report["latency_ms"]["p99"] >= report["latency_ms"]["median"] > 0
    assert report["workers_from"] == "health"


def test_the_published_figures_stand_beside_the_same_load_only(capsys: pytest.CaptureFixture[str]) -> None:
    with fleet() as gateway:
        # Each request fails without an answer: what is shown beside does not hang on success.
        gateway.routes["POST /infer"] = lambda _: (503, {"error": "down"})
        out = printed(capsys, BenchOptions(gateway=gateway.url, requests=10_000, threads=50), status=1)
    assert "C++ reference design (published)" in out
    assert "522.64" in out
    assert "10,000 × 503: down" in out


def test_a_cache_test_shows_a_cold_and_a_warm_pass(capsys: pytest.CaptureFixture[str]) -> None:
    with fleet() as gateway:
        options = BenchOptions(gateway=gateway.url, requests=100, cache_test=True)
        for _ in range(2):  # a second test finds nothing of the first in the caches
            out = printed(capsys, options)
            (row,) = [line.split() for line in out.splitlines() if "Hit rate" in line]
            assert row == ["Hit", "rate", "0.00%", "100.00%"]
        report = json.loads(
            printed(capsys, BenchOptions(gateway=gateway.url, requests=100, cache_test=True, as_json=True))
        )
    assert (report["first"]["hit_rate"], report["repeated"]["hit_rate"]) == (0, 1)
    assert report["speed_up"]["median_latency"] > 0


def test_workers_that_cannot_be_asked_are_known_by_their_answers(capsys: pytest.CaptureFixture[str]) -> None:
    with fleet() as gateway:
        options = BenchOptions(gateway=gateway.url, requests=50, workers=("http://127.0.0.1:1",))
        out = printed(capsys, options)
        assert "no worker's /health could be read" in out
        assert "worker_1" in out
        both = (*options.workers, gateway.workers[0].url)
        assert "no /health from 127.0.0.1:1" in printed(
            capsys, BenchOptions(gateway=gateway.url, requests=50, workers=both)
        )
        assert "worker_1" not in printed(
            capsys, BenchOptions(gateway=gateway.url, requests=50, no_stats=True)
        )


def test_a_gateway_without_the_model_route_gets_the_digits_images(capsys: pytest.CaptureFixture[str]) -> None:
    with fleet() as gateway:
        del gateway.routes["GET /model"]
        assert "360 held-out digits images" in printed(capsys, BenchOptions(gateway=gateway.url, requests=20))


def test_a_worker_called_directly_is_benchmarked_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    with fleet(1) as gateway:
        out = printed(capsys, BenchOptions(gateway=gateway.workers[0].url, requests=20))
    assert "100.00%" in out


def test_nothing_at_the_url_is_one_sentence_with_url_and_mend() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(UsageError, match=rf"{url}: connection refused; start one with `ringserve up`"):
        run_bench(BenchOptions(gateway=url))


def test_what_is_no_gateway_gets_no_load() -> None:
    with served(StandIn()) as server, pytest.raises(UsageError, match="no ringserve gateway"):
        run_bench(BenchOptions(gateway=server.url))


def test_a_model_that_infer_cannot_describe_is_refused_by_name() -> None:
    with served(Gateway()) as gateway:
        gateway.routes["GET /model"] = lambda _: (200, {"name": "two", "version": "1", "inputs": []})
        with pytest.raises(UsageError, match="model two"):
            run_bench(BenchOptions(gateway=gateway.url))


@pytest.mark.parametrize(
    "options",
    [
        BenchOptions(requests=0),
        BenchOptions(threads=-1),
        BenchOptions(timeout_s=0),
        BenchOptions(time_limit_s=-1),
    ],
)
def test_impossible_values_are_refused(options: BenchOptions) -> None:
    with pytest.raises(UsageError, match="--"):
        run_bench(options)
