"""The outcome of a benchmark, and its machine-readable form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ringserve.tools.histogram import buckets_of
from ringserve.tools.load import Tally
from ringserve.tools.options import BenchOptions
from ringserve.tools.percentiles import LatencySummary, summarise
from ringserve.tools.served_model import ServedModel
from ringserve.tools.worker_stats import WorkerShare


@dataclass(frozen=True, slots=True, kw_only=True)
class PassReport:
    """One pass over the inputs.

    Attributes:
        tally: What came of the requests.
        latency: The successes' latencies; None when there was none.
        shares: What each worker did; empty with `--no-stats`.
        shares_from: Where the shares come from: the workers' "health", the "answers", or "" for nowhere.
        unread: The workers whose `/health` could not be read.
    """

    tally: Tally
    latency: LatencySummary | None
    shares: Sequence[WorkerShare] = ()
    shares_from: str = ""
    unread: Sequence[str] = ()

    @classmethod
    def of(cls, tally: Tally) -> PassReport:
        """Report a pass without looking at the workers."""
        return cls(tally=tally, latency=summarise(tally.latencies_s))

    @property
    def success_rate(self) -> float:
        """Successes a request, from 0 to 1; what was not sent is no success."""
        return self.tally.succeeded / self.tally.requests

    @property
    def requests_per_s(self) -> float:
        """Successful requests a second."""
        return self.tally.succeeded / self.tally.elapsed_s if self.tally.elapsed_s else 0.0

    @property
    def hit_rate(self) -> float:
        """Answers from a cache, as the answers themselves say, from 0 to 1."""
        hits = sum(node.cached for node in self.tally.nodes.values())
        return hits / self.tally.succeeded if self.tally.succeeded else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchReport:
    """A whole benchmark: one pass, or the two of a cache test."""

    options: BenchOptions
    gateway: str
    model: ServedModel
    inputs: str
    distinct: int
    seed: int
    passes: Sequence[PassReport]

    @property
    def all_succeeded(self) -> bool:
        """Whether every request of every pass succeeded."""
        return all(one.tally.succeeded == one.tally.requests for one in self.passes)

    def as_json(self) -> dict[str, object]:
        """Give everything as one JSON object; times are in ms where the name says so, else in seconds."""
        head: dict[str, object] = {
            "gateway": self.gateway,
            "model": {"name": self.model.name, "version": self.model.version},
            "inputs": self.inputs,
            "distinct_inputs": self.distinct,
            "seed": self.seed,
            "threads": self.options.threads,
            "cache_test": self.options.cache_test,
        }
        if not self.options.cache_test:
            return head | _pass_json(self.passes[0])
        first, repeated = self.passes
        return head | {
            "first": _pass_json(first),
            "repeated": _pass_json(repeated),
            "speed_up": {
                "throughput": ratio(repeated.requests_per_s, first.requests_per_s),
                "median_latency": median_ratio(first, repeated),
            },
        }


def ratio(part: float, whole: float) -> float | None:
    """Divide; None where there is nothing to divide by."""
    return part / whole if whole else None


def median_ratio(first: PassReport, repeated: PassReport) -> float | None:
    """Say how many times the first pass's median latency is the repeated one's."""
    if first.latency is None or repeated.latency is None:
        return None
    return ratio(first.latency.median_s, repeated.latency.median_s)


def _pass_json(one: PassReport) -> dict[str, object]:
    tally = one.tally
    return {
        "requests": tally.requests,
        "succeeded": tally.succeeded,
        "failed": tally.failed,
        "not_sent": tally.not_sent,
        "success_rate": one.success_rate,
        "total_time_s": tally.elapsed_s,
        "requests_per_s": one.requests_per_s,
        "hit_rate": one.hit_rate,
        "latency_ms": None if one.latency is None else _latency_json(one.latency),
        "histogram": [
            {"low_ms": bucket.low_s * 1e3, "high_ms": bucket.high_s * 1e3, "count": bucket.count}
            for bucket in buckets_of(tally.latencies_s)
        ],
        "workers": [_share_json(share, one.shares) for share in one.shares],
        "workers_from": one.shares_from or None,
        "workers_unread": list(one.unread),
        "failures": [
            {"reason": reason, "count": failures.count, "first": failures.first}
            for reason, failures in sorted(tally.failures.items())
        ],
    }


def _latency_json(latency: LatencySummary) -> dict[str, float]:
    return {
        "mean": latency.mean_s * 1e3,
        "median": latency.median_s * 1e3,
        "p90": latency.p90_s * 1e3,
        "p95": latency.p95_s * 1e3,
        "p99": latency.p99_s * 1e3,
        "min": latency.min_s * 1e3,
        "max": latency.max_s * 1e3,
    }


def _share_json(share: WorkerShare, shares: Sequence[WorkerShare]) -> dict[str, object]:
    return {
        "node_id": share.node_id,
        "requests": share.requests,
        "share": ratio(share.requests, sum(other.requests for other in shares)) or 0.0,
        "cache_hits": share.hits,
        "hit_rate": share.hit_rate,
        "avg_batch_size": share.batch_size,
    }
