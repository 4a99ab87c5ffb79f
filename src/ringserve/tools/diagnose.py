"""`ringserve diagnose`: six checks of a running fleet, each with the likely cause and the mend."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from ringserve.tools.check_gateway import check_gateway
from ringserve.tools.check_inference import check_direct, check_end_to_end
from ringserve.tools.check_servers import check_health, check_ports, check_processes
from ringserve.tools.findings import Fault, Finding, Verdict
from ringserve.tools.options import DiagnoseOptions
from ringserve.tools.survey import Survey, survey

__all__ = ["DiagnoseOptions", "run_diagnose"]

_STYLES = {Verdict.HOLDS: "green", Verdict.FAILS: "bold red", Verdict.CANNOT_TELL: "yellow"}
_WIDTH_MAX = 120
_WIDTH_MIN = 60


def run_diagnose(options: DiagnoseOptions) -> int:
    """Run the six checks and print, for each, what was seen, the likely cause and the mend.

    Args:
        options: Which servers to look at.

    Returns:
        The exit status: 0 when no check fails, otherwise 1. What cannot be seen from here (the processes of
        another host) is no failure.

    Raises:
        UsageError: A URL is no URL of a server.
    """
    console = Console(highlight=False, soft_wrap=True)
    width = max(_WIDTH_MIN, min(console.width, _WIDTH_MAX))
    findings = findings_of(survey(options))
    for number, one in enumerate(findings, start=1):
        for text in _lines(number, one, width):
            console.print(text)
    failed = sum(one.verdict is Verdict.FAILS for one in findings)
    console.print()
    if failed:
        console.print(Text(f"{failed} of {len(findings)} checks failed.", style="bold red"))
    else:
        console.print(Text("No check failed.", style="bold green"))
    return 1 if failed else 0


def findings_of(seen: Survey) -> list[Finding]:
    """Run the six checks in the order of the C++ reference design's script."""
    direct, answers = check_direct(seen)
    return [
        check_processes(seen),
        check_ports(seen),
        check_health(seen),
        check_gateway(seen),
        direct,
        check_end_to_end(seen, answers),
    ]


def _lines(number: int, one: Finding, width: int) -> list[Text]:
    head = f"{one.verdict.value:<4}  {number} {one.title:<25}  "
    wrapped = _wrapped(one.seen, width, len(head))
    first = Text(head, style=_STYLES[one.verdict]).append(wrapped[0], style="not bold default")
    return [first, *map(Text, wrapped[1:]), *(line for fault in one.faults for line in _fault(fault, width))]


def _fault(fault: Fault, width: int) -> list[Text]:
    head = Text(f"        {fault.target}: {fault.seen}", style="bold")
    if not fault.cause:
        return [head]
    cause = _wrapped(fault.cause, width, 16)
    return [
        head,
        Text(f"          cause {cause[0]}"),
        *map(Text, cause[1:]),
        # Not wrapped: a command is there to be copied.
        Text(f"          mend  {fault.mend}", style="cyan"),
    ]


def _wrapped(text: str, width: int, indent: int) -> Sequence[str]:
    """Wrap text, the first line to follow something `indent` wide, the others indented by as much."""
    lines = textwrap.wrap(text, width - indent, break_long_words=False, break_on_hyphens=False) or [""]
    return [lines[0], *(" " * indent + line for line in lines[1:])]
