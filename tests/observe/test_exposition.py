"""What is written is what a scraper reads back."""

import subprocess
import sys

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics_families
from prometheus_client.parser import text_string_to_metric_families

from ringserve.core.histogram import LATENCY_BOUNDS_S, Histogram
from ringserve.observe.catalogue.metric import Snapshot
from ringserve.observe.catalogue.server import SERVER, ServerStatistics
from ringserve.observe.exposition import exposition


@pytest.fixture
def snapshot() -> Snapshot[ServerStatistics]:
    lag = Histogram(LATENCY_BOUNDS_S)
    for value in (0.0001, 0.0002, 3.0, 99.0):
        lag.observe(value)
    requests = {("/infer", "200"): 12, ("other", "404"): 3}
    return Snapshot(
        SERVER,
        ServerStatistics(
            "gateway", "ready", True, requests, {}, {"somebody": 4}, 2, 9, 64, 32, lag.statistics()
        ),
    )


def test_both_formats_tell_the_same(snapshot: Snapshot[ServerStatistics]) -> None:
    text, text_type = exposition([snapshot], "text/plain;version=0.0.4")
    opened, opened_type = exposition(
        [snapshot], "application/openmetrics-text; version=1.0.0, text/plain;q=0.2"
    )
    assert (text_type, opened_type.partition(";")[0]) == (
        "text/plain; version=0.0.4; charset=utf-8",
        "application/openmetrics-text",
    )
    read = [
        {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in families
            for sample in family.samples
            if sample.name.startswith("ringserve_")
        }
        for families in (
            text_string_to_metric_families(text.decode()),
            open_metrics_families(opened.decode()),  # type: ignore[no-untyped-call]
        )
    ]
    assert read[0] == read[1]
    assert read[0]["ringserve_http_requests_total", (("outcome", "200"), ("route", "/infer"))] == 12
    assert read[0]["ringserve_key_requests_total", (("key", "somebody"),)] == 4
    assert read[0]["ringserve_state", (("state", "ready"),)] == 1


def test_buckets_are_cumulative_and_end_with_all(snapshot: Snapshot[ServerStatistics]) -> None:
    text, _ = exposition([snapshot], "")
    lines = text.decode().splitlines()
    shown = dict(line.rsplit(" ", 1) for line in lines if line.startswith("ringserve_event_loop_lag_seconds"))
    buckets = {name: float(value) for name, value in shown.items() if "_bucket" in name}
    assert buckets['ringserve_event_loop_lag_seconds_bucket{le="0.0001"}'] == 1
    assert buckets['ringserve_event_loop_lag_seconds_bucket{le="0.00025"}'] == 2
    assert buckets['ringserve_event_loop_lag_seconds_bucket{le="30.0"}'] == 3
    assert buckets['ringserve_event_loop_lag_seconds_bucket{le="+Inf"}'] == 4
    assert list(buckets.values()) == sorted(buckets.values())
    assert len(buckets) == len(LATENCY_BOUNDS_S) + 1
    assert float(shown["ringserve_event_loop_lag_seconds_sum"]) == pytest.approx(102.0003)


def test_the_process_shows_its_memory(snapshot: Snapshot[ServerStatistics]) -> None:
    text, _ = exposition([snapshot], "")
    assert b"\nprocess_resident_memory_bytes " in text


def test_a_server_that_nobody_scrapes_does_not_import_the_writer() -> None:
    look = (
        "import sys, ringserve.gateway.main, ringserve.worker.main; print('prometheus_client' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout
    assert said == "False\n"
