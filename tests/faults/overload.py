"""More requests than the engine can run: who is answered, who is turned away, how soon all is well."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import memory_mb
from tests.faults.crowd import Crowd, Tally, tally
from tests.integration.servers import Server, Servers

RUN_S = 0.05
MAX_BATCH = 4
WORKERS = 2
NOMINAL_RATE = WORKERS * MAX_BATCH / RUN_S
"""What they answer a second where a run takes what it was made to take; no more is taken for the best rate:
a model made while the machine was slow is quicker than that, and the callers share its cores."""
BEST_CLIENTS = 64
WARM_S = 1.0
CALM_RUNS = 4
"""An answer is as before the burst when it took no more than so many runs."""


@dataclass(frozen=True, slots=True)
class Overload:
    """What an overload gave; times are in seconds.

    Attributes:
        factor: Requests offered, as a multiple of the best rate of answers or the nominal one, the lower.
        best_rate: Answers a second when the queue is never empty and nobody is turned away.
        tally: What became of the requests.
        goodput: Answers a second under the overload, as a share of the best rate.
        callers_share: Of the machine's processor time, what the callers themselves took.
        accepted_p99_s: Of the requests that were answered.
        late_share: 504s among the requests that were accepted.
        turned_away_p50_s: How soon a 429 came.
        told_when: Whether each 429 told when to come again.
        calm_after_s: From the end of the burst until an answer came as soon as before it.
        growth_mb: By how much the largest of the processes grew.
    """

    factor: float
    best_rate: float
    tally: Tally
    goodput: float
    callers_share: float
    accepted_p99_s: float
    late_share: float
    turned_away_p50_s: float
    told_when: bool
    calm_after_s: float
    growth_mb: float


def overload(
    servers: Servers, model: Path, factors: Sequence[float], max_wait_ms: str, seconds: float
) -> list[Overload]:
    """Find the best rate, then offer multiples of it.

    Args:
        servers: Starts what is needed.
        model: With runs of `RUN_S`.
        factors: Multiples of the best rate, in this order.
        max_wait_ms: As the workers' flag takes it.
        seconds: How long each is offered.
    """
    gateway, nodes = servers.fleet(
        model,
        WORKERS,
        *("--max-batch", str(MAX_BATCH), "--max-wait-ms", max_wait_ms, "--cache-capacity", "0"),
        *("--workers-here", str(WORKERS)),
    )
    best = _best_rate(gateway, seconds)
    pids = [gateway.process.pid, *(node.process.pid for node in nodes)]
    return [_offer(gateway, pids, model, factor, best, seconds) for factor in factors]


def _best_rate(gateway: Server, seconds: float) -> float:
    crowd = Crowd(gateway.port, BEST_CLIENTS)
    with crowd.running():
        time.sleep(WARM_S + seconds)  # the load's duration, not a wait for something
    ends = [shot.ended for shot in crowd.shots if shot.status == 200]
    return _rate(ends, ends[0] + WARM_S, ends[0] + WARM_S + seconds)


def _offer(
    gateway: Server, pids: Sequence[int], model: Path, factor: float, best: float, seconds: float
) -> Overload:
    before = [memory_mb(pid) for pid in pids]
    crowd = Crowd(gateway.port)
    began, cpu_s = time.monotonic(), time.process_time()
    asyncio.run(crowd.offer(factor * min(best, NOMINAL_RATE), WARM_S + seconds))
    callers_share = (time.process_time() - cpu_s) / (time.monotonic() - began) / (os.cpu_count() or 1)
    shots = list(crowd.shots)
    over = max(shot.began for shot in shots)
    calm_after_s = _calm(gateway, over)
    answered = sorted(shot.took_s for shot in shots if shot.status == 200)
    away = [shot for shot in shots if shot.status == 429]
    late = sum(shot.status == 504 for shot in shots)
    ends = [shot.ended for shot in shots if shot.status == 200]
    return Overload(
        factor=factor,
        best_rate=best,
        tally=tally(shots, model),
        goodput=_rate(ends, began + WARM_S, began + WARM_S + seconds) / best,
        callers_share=callers_share,
        accepted_p99_s=answered[int(0.99 * len(answered))],
        late_share=late / (late + len(answered)),
        turned_away_p50_s=statistics.median(shot.took_s for shot in away) if away else 0.0,
        told_when=all(shot.retry_after for shot in away),
        calm_after_s=calm_after_s,
        growth_mb=max(memory_mb(pid) - was for pid, was in zip(pids, before, strict=True)),
    )


def _calm(gateway: Server, since: float) -> float:
    """Ask one after the other until an answer comes as soon as it should."""
    number = 1 << 30
    while time.monotonic() - since < 60.0:
        number += 1
        began = time.monotonic()
        answer = gateway.infer([float(number & 0xFFFF), float(number >> 16), 3.0, 4.0])
        if answer.status == 200 and time.monotonic() - began < CALM_RUNS * RUN_S:
            return began - since
    raise AssertionError("one minute after the burst no answer came as soon as before it")


def _rate(ends: Sequence[float], since: float, until: float) -> float:
    return sum(since <= end < until for end in ends) / (until - since)
