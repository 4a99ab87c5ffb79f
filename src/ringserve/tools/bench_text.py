"""The benchmark's report as a person reads it: lines for a terminal of a given width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ringserve.tools.bench_report import BenchReport, PassReport, ratio
from ringserve.tools.histogram import buckets_of, draw
from ringserve.tools.percentiles import LatencySummary
from ringserve.tools.worker_stats import WorkerShare

_WIDTH_MAX = 100
_LABEL = 18
_COLUMN = 14
_REFERENCE_LOAD = (10_000, 50)
_REFERENCE_TITLE = "C++ reference design (published)"
_REFERENCE_THROUGHPUT = ("10,000", "100.00%", "19.13s", "522.64")
_REFERENCE_LATENCY = ("86.82ms", "84.60ms", "124.49ms", "137.59ms", "164.29ms")
_REFERENCE_SHARES = (
    f"  {_REFERENCE_TITLE}:",
    "    shares     46.81%  24.71%  38.53%",
    "    hit rates  99.77%  99.60%  99.74%",
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text with a style for terminals that have colours."""

    text: str
    style: str = ""


def bench_lines(report: BenchReport, width: int) -> list[Line]:
    """Lay the report out in lines of at most `width` characters (headings and sentences may be longer)."""
    lines = [*_head(report), Line("")]
    if report.options.cache_test:
        lines += _cache_test(report.passes)
    else:
        lines += _single_pass(report, report.passes[0], min(width, _WIDTH_MAX))
    for name, one in zip(_pass_names(report), report.passes, strict=True):
        lines += _failures(name, one)
    return lines


def _head(report: BenchReport) -> list[Line]:
    options = report.options
    passes = "two passes of " if options.cache_test else ""
    load = f"{passes}{_count(options.requests, 'request')}, {_count(options.threads, 'thread')}"
    model = f"{report.model.name} version {report.model.version}"
    return [
        Line(f"{report.gateway}  {load}", "bold"),
        Line(f"model {model}; {report.inputs}", "dim"),
    ]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _pass_names(report: BenchReport) -> list[str]:
    return ["first pass", "repeated pass"] if report.options.cache_test else [""]


def _single_pass(report: BenchReport, one: PassReport, width: int) -> list[Line]:
    compared = (report.options.requests, report.options.threads) == _REFERENCE_LOAD
    columns = [_throughput(one)], [_latency(one.latency)]
    if compared:
        columns[0].append(_REFERENCE_THROUGHPUT)
        columns[1].append(_REFERENCE_LATENCY)
    title = f"{'Throughput':<{_LABEL + 2 + _COLUMN}}   {_REFERENCE_TITLE}" if compared else "Throughput"
    lines = [Line(title, "bold"), *_rows(_THROUGHPUT_LABELS, columns[0]), Line("")]
    lines += [Line("Latency", "bold"), *_rows(_LATENCY_LABELS, columns[1]), Line("")]
    lines += _workers(one)
    if compared and one.shares:
        lines[-1:-1] = [Line(text, "dim") for text in _REFERENCE_SHARES]
    drawn = draw(buckets_of(one.tally.latencies_s), width - 2)
    if drawn:
        lines += [Line("Latency histogram", "bold"), *(Line(f"  {row}", "cyan") for row in drawn), Line("")]
    return lines


_THROUGHPUT_LABELS = ("Total requests", "Success rate", "Total time", "Requests/sec")
_LATENCY_LABELS = ("Mean", "Median", "P90", "P95", "P99")


def _throughput(one: PassReport) -> tuple[str, ...]:
    tally = one.tally
    rate = f"{one.requests_per_s:,.2f}"
    return (f"{tally.requests:,}", f"{one.success_rate:.2%}", f"{tally.elapsed_s:.2f}s", rate)


def _latency(latency: LatencySummary | None) -> tuple[str, ...]:
    if latency is None:
        return ("–",) * len(_LATENCY_LABELS)
    figures = (latency.mean_s, latency.median_s, latency.p90_s, latency.p95_s, latency.p99_s)
    return tuple(f"{figure * 1e3:.2f}ms" for figure in figures)


def _rows(labels: Sequence[str], columns: Sequence[Sequence[str]]) -> list[Line]:
    lines = []
    for label, *cells in zip(labels, *columns, strict=True):
        row = f"  {label:<{_LABEL}}" + "".join(f"{cell:>{_COLUMN}}" for cell in cells)
        lines.append(Line(row.rstrip()))
    return lines


def _workers(one: PassReport) -> list[Line]:
    if not one.shares_from:
        return []
    lines = [Line("Workers" + " " * 17 + "requests     share  hit rate  avg batch", "bold")]
    total = sum(share.requests for share in one.shares)
    lines += [Line(_worker_row(share, total)) for share in one.shares]
    if one.shares_from == "answers":
        lines.append(Line("  (as the answers tell: no worker's /health could be read)", "dim"))
    elif one.unread:
        lines.append(Line(f"  (no /health from {', '.join(one.unread)})", "yellow"))
    return [*lines, Line("")]


def _worker_row(share: WorkerShare, total: int) -> str:
    name = share.node_id if len(share.node_id) <= _LABEL else share.node_id[: _LABEL - 1] + "…"
    batch = "–" if share.batch_size is None else f"{share.batch_size:.1f}"
    part = ratio(share.requests, total) or 0.0
    return f"  {name:<{_LABEL}}{share.requests:>12,}{part:>10.2%}{share.hit_rate:>10.2%}{batch:>11}"


def _cache_test(passes: Sequence[PassReport]) -> list[Line]:
    first, repeated = passes
    title = f"{'Cache test':<{_LABEL + 2}}{'first':>{_COLUMN}}{'repeated':>{_COLUMN}}{'speed-up':>{_COLUMN}}"
    lines = [Line(title, "bold")]
    lines += _rows(_THROUGHPUT_LABELS, [_throughput(first), _throughput(repeated), _speed_up(passes)])
    lines += _rows(["Hit rate"], [[f"{one.hit_rate:.2%}"] for one in passes])
    lines += _rows(_LATENCY_LABELS, [*(_latency(one.latency) for one in passes), _latency_ratios(passes)])
    return [*lines, Line("")]


def _speed_up(passes: Sequence[PassReport]) -> tuple[str, ...]:
    first, repeated = passes
    return ("", "", "", _times(ratio(repeated.requests_per_s, first.requests_per_s)))


def _latency_ratios(passes: Sequence[PassReport]) -> tuple[str, ...]:
    first, repeated = (one.latency for one in passes)
    if first is None or repeated is None:
        return ("–",) * len(_LATENCY_LABELS)
    pairs = (
        (first.mean_s, repeated.mean_s),
        (first.median_s, repeated.median_s),
        (first.p90_s, repeated.p90_s),
        (first.p95_s, repeated.p95_s),
        (first.p99_s, repeated.p99_s),
    )
    return tuple(_times(ratio(*pair)) for pair in pairs)


def _times(factor: float | None) -> str:
    return "–" if factor is None else f"{factor:.2f}×"


def _failures(name: str, one: PassReport) -> list[Line]:
    tally = one.tally
    if not tally.failed and not tally.not_sent:
        return []
    lines = [Line(f"Failures{f', {name}' if name else ''}", "bold red")]
    for reason, failures in sorted(tally.failures.items()):
        lines.append(Line(f"  {failures.count:>9,} × {reason}: {failures.first}"))
    if tally.not_sent:
        lines.append(Line(f"  {tally.not_sent:>9,} × not sent: the run was ended before their turn"))
    return [*lines, Line("")]
