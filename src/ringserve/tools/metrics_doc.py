"""Writes docs/metrics.md from the catalogue of metrics: `python -m ringserve.tools.metrics_doc [FILE]`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from ringserve.core.histogram import LATENCY_BOUNDS_S, SIZE_BOUNDS
from ringserve.observe.catalogue.gateway import GATEWAY
from ringserve.observe.catalogue.roles import AnyMetric
from ringserve.observe.catalogue.server import SERVER
from ringserve.observe.catalogue.worker import WORKER

HEAD = """# Metrics

Generated from the code by `make docs`; do not edit by hand.

`GET /metrics` of a gateway and of a worker shows what follows, in the text format of Prometheus, or as
OpenMetrics where the request's `Accept` names that. Scrape every process: a gateway knows nothing of what is
inside a worker.

    scrape_configs:
      - job_name: ringserve-gateway
        static_configs: [{targets: ["localhost:8000"]}]
      - job_name: ringserve-worker
        static_configs: [{targets: ["localhost:8001", "localhost:8002", "localhost:8003"]}]

Where API keys are asked for, the scraper needs one of its own (`authorization: {credentials: ...}`).

Gateways that share one port (`up --gateways`) answer in turn, each for itself, and to a scraper look like one
that starts again and again (`process_start_time_seconds` tells them apart). Where figures must add up, start
them with a port each.

- Names are in base units, seconds and bytes; `_total` is a counter, `_max` a limit.
- Counters begin at 0 with their process; a worker's that carry a `model`, whenever that model is loaded anew.
- Labels have a bounded number of values, whatever is asked: `worker` is an address given when the gateway was
  started, `key` a label of the file of API keys, never a key, `model` and `version` are what a worker has
  loaded, and every unknown path is `other`.
- One scrape is one moment: `ringserve_requests_accepted_total` is `ringserve_requests_finished_total`, all
  outcomes of it, and `ringserve_requests_pending` together, always. What is pending is counted where requests
  are, not worked out from the others: a request that is lost shows.
- `process_*` (memory, CPU, descriptors) come from prometheus_client and are there on Linux alone.
- Between scrapes nothing is done but additions. The first scrape of a process takes a tenth of a second, as
  prometheus_client is imported then, in a thread; later ones take a few milliseconds.
"""

WATCHED = (
    (
        "A request is lost or counted twice",
        (
            "ringserve_requests_accepted_total != "
            "sum without (outcome) (ringserve_requests_finished_total) + ringserve_requests_pending"
        ),
    ),
    (
        "Callers get errors",
        'sum by (route, outcome) (rate(ringserve_http_requests_total{outcome=~"5.."}[5m])) > 0',
    ),
    (
        "Callers wait: the 99th percentile",
        (
            "histogram_quantile(0.99, sum by (le) "
            '(rate(ringserve_request_seconds_bucket{job="ringserve-gateway", phase="total"}[5m])))'
        ),
    ),
    (
        "A worker gets nothing",
        'ringserve_link_state{state="up"} == 0 or ringserve_breaker_state{state="OPEN"} == 1',
    ),
    ("A worker's queue is nearly full", "ringserve_queue_items > 0.8 * ringserve_queue_items_max"),
    ("Requests are shed, and why", "sum by (reason) (rate(ringserve_sheds_total[5m])) > 0"),
    ("A worker hangs", "ringserve_healthy == 0"),
    (
        "An event loop is blocked",
        "histogram_quantile(0.99, rate(ringserve_event_loop_lag_seconds_bucket[5m])) > 0.05",
    ),
    (
        "How much the cache spares",
        "rate(ringserve_cache_hits_total[5m]) / rate(ringserve_requests_accepted_total[5m])",
    ),
)
"""What an operator wants to know, and the query that tells."""


def document() -> str:
    """The whole document."""
    parts = [HEAD]
    parts.append("\n## What to watch\n\n| what | query |\n|---|---|\n")
    parts.extend(f"| {what} | `{query}` |\n" for what, query in WATCHED)
    parts.extend(_table("Gateway and worker", SERVER))
    parts.extend(_table("Gateway", GATEWAY))
    parts.extend(_table("Worker, once it has its model", WORKER))
    parts.append("\n## Buckets\n\n")
    parts.append(f"- Seconds: {_bounds(LATENCY_BOUNDS_S)}\n- Items: {_bounds(SIZE_BOUNDS)}\n")
    return "".join(parts)


def _table(title: str, metrics: Iterable[AnyMetric]) -> Iterator[str]:
    yield f"\n## {title}\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n"
    for metric in metrics:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        yield f"| `{metric.name}` | {metric.kind.value} | {labels} | {metric.help} |\n"


def _bounds(bounds: Iterable[float]) -> str:
    return ", ".join(f"{bound:g}" for bound in bounds)


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/metrics.md")
    target.parent.mkdir(exist_ok=True)
    target.write_text(document())
