"""Metrics as text, by prometheus_client. Importing this module imports that, which takes a while."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import PROCESS_COLLECTOR, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from ringserve.core.histogram import HistogramStatistics
from ringserve.observe.catalogue.metric import Kind, Value
from ringserve.observe.catalogue.roles import AnyMetric, Snapshots

TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS = "application/openmetrics-text"

_FAMILIES: dict[Kind, type[CounterMetricFamily | GaugeMetricFamily]] = {
    Kind.COUNTER: CounterMetricFamily,
    Kind.GAUGE: GaugeMetricFamily,
}

Samples = Iterable[tuple[tuple[str, ...], Value]]


class SnapshotCollector(Collector):
    """Statistics that were taken for one scrape, and those of the process."""

    def __init__(self, snapshots: Snapshots) -> None:
        """Collect from these."""
        self._snapshots = snapshots

    def collect(self) -> Iterator[Metric]:
        """Each metric in turn."""
        for snapshot in self._snapshots:
            for metric, samples in snapshot.readings():
                yield _family(metric, samples)
        yield from PROCESS_COLLECTOR.collect()


def exposition(snapshots: Snapshots, accept: str) -> tuple[bytes, str]:
    """The page and its Content-Type.

    Args:
        snapshots: What was taken for this scrape.
        accept: The request's Accept header: OpenMetrics where it names that, else the text format.
    """
    collector = SnapshotCollector(snapshots)
    if OPEN_METRICS in accept:
        text: bytes = openmetrics.generate_latest(collector)  # type: ignore[no-untyped-call]  # theirs
        return text, openmetrics.CONTENT_TYPE_LATEST
    return generate_latest(collector), TEXT_TYPE


def _family(metric: AnyMetric, samples: Samples) -> Metric:
    if metric.kind is Kind.HISTOGRAM:
        return _histogram(metric, samples)
    if metric.kind is Kind.INFO:
        info = InfoMetricFamily(metric.name.removesuffix("_info"), metric.help)
        for labels, _ in samples:
            info.add_metric((), dict(zip(metric.labels, labels, strict=True)))
        return info
    family = _FAMILIES[metric.kind](metric.name, metric.help, labels=metric.labels)
    for labels, value in samples:
        assert not isinstance(value, HistogramStatistics)
        family.add_metric(labels, value)
    return family


def _histogram(metric: AnyMetric, samples: Samples) -> Metric:
    family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, value in samples:
        assert isinstance(value, HistogramStatistics)
        total = 0
        buckets = []
        for bound, count in zip([*map(repr, value.bounds), "+Inf"], value.counts, strict=True):
            total += count
            buckets.append((bound, float(total)))
        family.add_metric(labels, buckets, value.sum)
    return family
