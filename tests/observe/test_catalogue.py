"""The tables of metrics keep the rules of their formats, and ours."""

import re
from dataclasses import fields

import pytest

from ringserve.core.histogram import LATENCY_BOUNDS_S, Histogram
from ringserve.observe.catalogue.metric import Kind, Metric, Snapshot, one_of
from ringserve.observe.catalogue.roles import BY_ROLE, AnyMetric
from ringserve.observe.catalogue.server import ServerStatistics

ENDING = {Kind.COUNTER: "_total", Kind.INFO: "_info"}
RESERVED = ("_total", "_info", "_bucket", "_count", "_sum", "_created")
BOUNDED = {"role", "version", "state", "route", "outcome", "phase", "worker", "to", "reason", "error", "key"}
BOUNDED |= {"method", "code", "model"}

ALL = [metric for metrics in BY_ROLE.values() for metric in metrics]


def family(metric: AnyMetric) -> str:
    return metric.name.removesuffix(ENDING.get(metric.kind, ""))


@pytest.mark.parametrize("metrics", BY_ROLE.values(), ids=BY_ROLE)
def test_no_two_metrics_of_a_server_share_a_family(metrics: tuple[AnyMetric, ...]) -> None:
    names = [family(metric) for metric in metrics]
    assert sorted(set(names)) == sorted(names)


def test_a_name_says_what_it_is() -> None:
    for metric in ALL:
        assert re.fullmatch(r"ringserve_[a-z]+(_[a-z]+)*", metric.name), metric.name
        assert metric.name.endswith(ENDING.get(metric.kind, "")), metric.name
        assert not family(metric).endswith(RESERVED), metric.name
        assert not re.search(r"_(ms|us|kb|mb|percent)(_|$)", metric.name), metric.name


def test_a_metric_has_a_sentence_and_labels_whose_values_are_bounded() -> None:
    for metric in ALL:
        assert metric.help[0].isalnum(), metric.name
        assert metric.help.endswith("."), metric.name
        assert "|" not in metric.help, metric.name
        assert set(metric.labels) <= BOUNDED, metric.name


def test_a_name_that_both_servers_show_is_the_same_metric_of_both() -> None:
    """A worker tells its models apart."""
    gateway = {metric.name: metric for metric in BY_ROLE["gateway"]}
    both = [(gateway[metric.name], metric) for metric in BY_ROLE["worker"] if metric.name in gateway]
    assert len(both) >= len(fields(ServerStatistics)) - 2
    for one, other in both:
        assert one.kind == other.kind, one.name
        assert other.labels in (one.labels, ("model", "version", *one.labels)), one.name


def test_a_snapshot_gives_one_value_or_one_for_each_label() -> None:
    latency = Histogram(LATENCY_BOUNDS_S).statistics()
    plain: Metric[int] = Metric("ringserve_a", Kind.GAUGE, "A.", lambda number: number)
    split: Metric[int] = Metric("ringserve_b", Kind.GAUGE, "B.", lambda number: [(("x",), number)], ("l",))
    spread: Metric[int] = Metric("ringserve_c", Kind.HISTOGRAM, "C.", lambda _: latency)
    readings = Snapshot((plain, split, spread), 7).readings()
    assert [list(samples) for _, samples in readings] == [[((), 7)], [(("x",), 7)], [((), latency)]]


def test_a_state_is_one_gauge_for_each_there_is() -> None:
    assert one_of(("up", "down"), "down", ("w",)) == [(("w", "up"), 0.0), (("w", "down"), 1.0)]
    with pytest.raises(AssertionError):
        one_of(("up", "down"), "sideways")
