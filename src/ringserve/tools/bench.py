"""`ringserve bench`: send a load to a gateway and say how it went."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from ringserve.errors import UsageError
from ringserve.models.digits import held_out
from ringserve.tools.address import Address, address_of
from ringserve.tools.bench_report import BenchReport, PassReport
from ringserve.tools.bench_target import Target, look_at
from ringserve.tools.bench_text import bench_lines
from ringserve.tools.inputs import InputSet, fresh_inputs, repeated_inputs
from ringserve.tools.load import Plan, send_load
from ringserve.tools.options import BenchOptions
from ringserve.tools.percentiles import summarise
from ringserve.tools.worker_stats import health_of, shares_between, shares_in_answers

__all__ = ["BenchOptions", "run_bench"]

_STATS_TIMEOUT_S = 5.0


def run_bench(options: BenchOptions) -> int:
    """Run the benchmark and print its report on standard output.

    Args:
        options: What to send, where to, and how to report.

    Returns:
        The exit status: 0 when every request succeeded, 1 when some failed or were not sent.

    Raises:
        UsageError: The gateway cannot be reached, or an option's value is impossible.
    """
    _check(options)
    target = look_at(options)
    seed, inputs = _inputs_for(options, target)
    passes = [_run_pass(options, target, inputs, title) for title in _titles(options)]
    report = BenchReport(
        options=options,
        gateway=target.gateway.url,
        model=target.model,
        inputs=inputs.what,
        distinct=len(inputs.bodies),
        seed=seed,
        passes=passes,
    )
    _print(report)
    return 0 if report.all_succeeded else 1


def _check(options: BenchOptions) -> None:
    for flag, value in (("--requests", options.requests), ("--threads", options.threads)):
        if value < 1:
            raise UsageError(f"{flag}: {value} is too few; give at least 1")
    for flag, seconds in (("--timeout-s", options.timeout_s), ("--time-limit-s", options.time_limit_s)):
        if not seconds > 0:
            raise UsageError(f"{flag}: {seconds:g} is no time; give more than 0")


def _titles(options: BenchOptions) -> tuple[str, ...]:
    return ("first pass", "repeated pass") if options.cache_test else ("requests",)


def _inputs_for(options: BenchOptions, target: Target) -> tuple[int, InputSet]:
    images = held_out()[0].tolist()
    if not options.cache_test:
        seed = options.seed or 0
        return seed, repeated_inputs(target.model_input, images, seed)
    # Fresh ones each time, or the first pass would find what an earlier test left in the caches.
    seed = secrets.randbits(32) if options.seed is None else options.seed
    return seed, fresh_inputs(target.model_input, images, options.requests, seed)


def _run_pass(options: BenchOptions, target: Target, inputs: InputSet, title: str) -> PassReport:
    plan = Plan(
        gateway=target.gateway,
        bodies=inputs.bodies,
        requests=len(inputs.bodies) if options.cache_test else options.requests,
        threads=options.threads,
        timeout_s=options.timeout_s,
        time_limit_s=options.time_limit_s,
    )
    with _progress_bar(title, plan.requests, shown=not options.as_json) as progress:
        if options.no_stats or options.cache_test:
            return PassReport.of(send_load(plan, progress))
        workers = _workers(options, target)
        before = health_of(workers, _STATS_TIMEOUT_S)
        tally = send_load(plan, progress)
        after = health_of(workers, _STATS_TIMEOUT_S)
    shares = shares_between(before, after)
    return PassReport(
        tally=tally,
        latency=summarise(tally.latencies_s),
        shares=shares or shares_in_answers(tally.nodes),
        shares_from="health" if shares else "answers",
        unread=[str(worker) for worker in workers if worker not in after],
    )


def _workers(options: BenchOptions, target: Target) -> list[Address]:
    return [address_of(url, "--workers") for url in options.workers] or list(target.workers)


@contextmanager
def _progress_bar(title: str, total: int, *, shown: bool) -> Iterator[Callable[[int], None]]:
    """Show how far a pass is, on a standard error that is a terminal; give what to tell it."""
    console = Console(stderr=True)
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    if not shown or not console.is_terminal:  # rich before 14.3 ends even a disabled bar with an empty line
        yield lambda _: None
        return
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda done: bar.update(task, completed=done)


def _print(report: BenchReport) -> None:
    if report.options.as_json:
        json.dump(report.as_json(), sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    console = Console(highlight=False, soft_wrap=True)
    for line in bench_lines(report, console.width):
        console.print(Text(line.text, style=line.style))
