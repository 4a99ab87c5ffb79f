"""Which tables a gateway and a worker show."""

from __future__ import annotations

from collections.abc import Sequence

from ringserve.core.router.statistics import RouterStatistics
from ringserve.observe.catalogue.gateway import GATEWAY
from ringserve.observe.catalogue.metric import Metric, Snapshot
from ringserve.observe.catalogue.server import SERVER, ServerStatistics
from ringserve.observe.catalogue.worker import WORKER, WorkerStatistics

AnyMetric = Metric[ServerStatistics] | Metric[RouterStatistics] | Metric[WorkerStatistics]
Snapshots = Sequence[Snapshot[ServerStatistics] | Snapshot[RouterStatistics] | Snapshot[WorkerStatistics]]
"""What one scrape shows."""

BY_ROLE: dict[str, tuple[AnyMetric, ...]] = {"gateway": (*SERVER, *GATEWAY), "worker": (*SERVER, *WORKER)}
"""All metrics of each kind of server."""
