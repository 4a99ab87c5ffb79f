"""`make faults`: every fault many times, and one table of what became of the requests.

REPEAT sets how often the kill and hang cases are repeated (20), OTHERS the rest (5).
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.results import keep, machine
from tests.faults import cases
from tests.faults.cases import CASES, Case, Outcome
from tests.faults.overload import RUN_S, Overload, overload
from tests.integration.servers import Servers
from tests.support import models

FAULT_RUN_S = 0.02
OFTEN = (cases.kill_worker, cases.hang_worker)
TRIES_MAX = 3
"""How many repetitions are tried for one that counts."""
WIDTH = 130
FACTORS = (2.0, 10.0)
OVERLOAD_S = 8.0
MAX_WAITS = ("500", "auto")


def main() -> None:
    """Run everything and print it."""
    console = Console(width=WIDTH)
    where = machine()
    often, others = int(os.environ.get("REPEAT") or 20), int(os.environ.get("OTHERS") or 5)
    with tempfile.TemporaryDirectory() as folder, Progress(console=console) as progress:
        model = models.slow(Path(folder) / "slow.onnx", FAULT_RUN_S)
        rows = []
        for case in CASES:
            count = often if case in OFTEN else others
            task = progress.add_task(case.__name__, total=count)
            rows.append(_repeat(case, model, Path(folder), count, lambda task=task: progress.advance(task)))
        task = progress.add_task("overload", total=len(MAX_WAITS))
        slow = models.slow(Path(folder) / "slower.onnx", RUN_S)
        loads: dict[str, list[Overload]] = {}
        for wait in MAX_WAITS:
            with Servers(Path(folder)) as servers:
                loads[wait] = overload(servers, slow, FACTORS, wait, OVERLOAD_S)
            progress.advance(task)
    console.print(_faults(rows))
    console.print(_loads(loads))
    console.print(json.dumps(where))
    keep("faults", where, {"faults": [_plain(row) for row in rows], "overload": repr(loads)})


def _repeat(case: Case, model: Path, folder: Path, count: int, advance: object) -> list[Outcome]:
    assert callable(advance)
    kept: list[Outcome] = []
    for _ in range(count * TRIES_MAX):
        with Servers(folder) as servers:
            outcome = case(servers, model)
        if outcome.counts:
            kept.append(outcome)
            advance()
        if len(kept) == count:
            break
    return kept


def _faults(rows: Sequence[Sequence[Outcome]]) -> Table:
    table = Table(title="50 clients, distinct inputs, runs of 20 ms, no retries; worst of all repetitions")
    headings = (
        "fault",
        "times",
        "sent",
        "right",
        "refused",
        "lost",
        "wrong",
        "in flight",
        "worst",
        "whole after",
    )
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "fault" else "right")
    for outcomes in rows:
        one = _plain(outcomes)
        table.add_row(*(str(one[heading]) for heading in headings))
    return table


def _plain(outcomes: Sequence[Outcome]) -> dict[str, object]:
    refused: Counter[int] = Counter()
    for outcome in outcomes:
        refused.update(outcome.tally.refused)
    return {
        "fault": outcomes[0].fault,
        "times": len(outcomes),
        "sent": sum(outcome.tally.sent for outcome in outcomes),
        "right": sum(outcome.tally.right for outcome in outcomes),
        "refused": ", ".join(f"{status}: {count}" for status, count in sorted(refused.items())) or "0",
        "lost": sum(outcome.tally.lost for outcome in outcomes),
        "wrong": sum(outcome.tally.wrong for outcome in outcomes),
        "in flight": min(outcome.in_flight for outcome in outcomes),
        "worst": f"{max(outcome.tally.worst_s for outcome in outcomes):.2f} s",
        "whole after": f"{max(outcome.recovered_s for outcome in outcomes):.2f} s",
    }


def _loads(loads: dict[str, list[Overload]]) -> Table:
    table = Table(title="Overload: 2 workers, runs of 50 ms, batches of 4")
    for heading in (
        "max-wait-ms",
        "offered",
        "sent",
        "right",
        "429",
        "504 of accepted",
        "lost",
        "goodput",
        "callers' CPU",
        "p99 accepted",
        "p50 of 429",
        "well after",
        "growth",
    ):
        table.add_column(heading, justify="right")
    for wait, outcomes in loads.items():
        for one in outcomes:
            table.add_row(
                wait,
                f"{one.factor:g} x",
                str(one.tally.sent),
                str(one.tally.right),
                str(one.tally.refused[429]),
                f"{one.late_share:.2%}",
                str(one.tally.lost),
                f"{one.goodput:.0%}",
                f"{one.callers_share:.0%}",
                f"{one.accepted_p99_s:.2f} s",
                f"{one.turned_away_p50_s * 1e3:.1f} ms",
                f"{one.calm_after_s:.1f} s",
                f"{one.growth_mb:.1f} MB",
            )
    return table


if __name__ == "__main__":
    main()
