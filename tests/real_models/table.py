"""`make models`: serve real models one after the other, compare, and print what was found as a table."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.integration.servers import Servers
from tests.real_models.callers import Refused
from tests.real_models.catalogue import RealModel, carried, light
from tests.real_models.check import Finding, check
from tests.real_models.contrib import extended
from tests.real_models.pipelines import converted
from tests.real_models.variants import varied

WIDTH = 150
"""Columns where there is no terminal to ask."""


def main() -> int:
    """Check every model, or those whose names hold one of the words in ONLY; 1 where anything is wrong."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    wanted = os.environ.get("ONLY", "").split()
    findings = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        packages = Path(os.environ["MODELS"])
        found = carried(packages)
        models = [*found, *light(), *converted(folder), *extended(packages, folder)]
        models += varied(found, folder)
        for model in models:
            if wanted and not any(word in model.name for word in wanted):
                continue
            finding = _checked(model, folder)
            findings.append(finding)
            for line in finding.said or ["shares runs"]:
                console.print(f"{escape(model.name)}: {escape(line)}")
            for line in finding.wrong[:5]:
                console.print(f"  [red]{escape(line)}[/]")
    console.print(_table(findings))
    return int(any(finding.wrong for finding in findings) or not findings)


def _checked(model: RealModel, folder: Path) -> Finding:
    """Check a model; where its server never comes up, that is what is wrong, and the others follow."""
    try:
        with Servers(folder) as servers:
            return check(model, servers)
    except (AssertionError, OSError, Refused) as error:
        return Finding(model, [str(error)])


def _table(findings: list[Finding]) -> Table:
    table = Table(title="real models, and onnxruntime called directly")
    for heading in ("model", "inputs", "batches", "items a run", "requests", "max difference", "verdict"):
        table.add_column(heading)
    for finding in findings:
        table.add_row(
            finding.model.name,
            escape(finding.inputs),
            "yes" if finding.batches else "no",
            f"{finding.items_a_run:.1f}",
            str(finding.requests),
            f"{finding.difference:.1e}",
            f"[red]{len(finding.wrong)} wrong[/]" if finding.wrong else "right",
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
