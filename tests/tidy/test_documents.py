"""What the documents say of the code is compared with the code."""

import re
import struct
from dataclasses import fields

import pytest

from ringserve.core.breaker import TRANSITIONS
from ringserve.limits import FLAG_LIMITS
from ringserve.settings import Settings, flag_of
from ringserve.tools import flags_table, limits_table, metrics_doc, settings_doc
from ringserve.wire import frames, records
from tests.tidy.tree import ROOT

DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
README = (ROOT / "README.md").read_text()
RELIABILITY = (ROOT / "docs" / "reliability.md").read_text()
SECURITY = (ROOT / "docs" / "security.md").read_text()


def rows_under(title: str) -> list[list[str]]:
    """Return the cells of the first table after these words."""
    lines = ARCHITECTURE[ARCHITECTURE.index(title) :].splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("|"))
    table = lines[first + 2 :]
    end = next((number for number, line in enumerate(table) if not line.startswith("|")), len(table))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[:end]]


def offsets_of(layout: struct.Struct) -> list[int]:
    """Return where each field of a packed layout begins, and where the last one ends."""
    fields = re.findall(r"\d*[a-zA-Z]", layout.format.removeprefix("<"))
    return [struct.calcsize("<" + "".join(fields[:number])) for number in range(len(fields) + 1)]


def test_the_breakers_table_is_that_of_its_transitions() -> None:
    shown = [tuple(row) for row in rows_under("## The circuit breaker")]
    assert shown == [(before.value, cause, after.value) for before, cause, after in TRANSITIONS]


def test_every_kind_of_frame_is_described() -> None:
    shown = [(int(row[0]), row[1]) for row in rows_under("| kind | name |")]
    assert shown == [(kind.value, kind.name) for kind in frames.Kind]


@pytest.mark.parametrize(
    ("title", "layout"),
    [
        ("A **frame**", frames.HEADER),
        ("A **request record**", records.REQUEST),
        ("An **answer record**", records.ANSWER),
    ],
)
def test_the_offsets_of_a_layout_are_those_of_its_struct(title: str, layout: struct.Struct) -> None:
    assert [int(row[0]) for row in rows_under(title)] == offsets_of(layout)


def test_the_generated_documents_are_those_of_today() -> None:
    """`make docs` writes them again."""
    assert (ROOT / "docs" / "configuration.md").read_text() == settings_doc.document()
    assert (ROOT / "docs" / "metrics.md").read_text() == metrics_doc.document()
    assert flags_table.filled(README) == README
    assert limits_table.filled(RELIABILITY) == RELIABILITY


def test_every_flag_that_bounds_something_is_in_the_table_of_limits() -> None:
    bounds = {
        spec.name
        for spec in fields(Settings)
        if spec.name.startswith(("max_", "credit_", "cache_"))
        or spec.name.endswith(("_timeout_s", "_timeout_ms"))
        if not flag_of(spec).choices
    }
    assert bounds - set(FLAG_LIMITS) == set()
    assert set(FLAG_LIMITS) - {spec.name for spec in fields(Settings)} == set()


@pytest.mark.parametrize("document", [RELIABILITY, SECURITY], ids=["reliability", "security"])
def test_every_test_that_a_promise_names_exists(document: str) -> None:
    named = re.findall(r"`(tests/[a-z_/]+\.py)(?:::(test_[a-z0-9_]+))?`", document)
    assert named
    missing = [
        (path, name)
        for path, name in named
        if not (ROOT / path).exists() or f"def {name}" not in (ROOT / path).read_text()
    ]
    assert missing == []


def test_every_link_to_a_file_leads_to_one() -> None:
    broken = [
        f"{document.name}: {target}"
        for document in DOCUMENTS
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text())
        if not (document.parent / target).exists()
    ]
    assert broken == []


def test_every_command_of_make_that_a_document_names_exists() -> None:
    verbs = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {verb for document in DOCUMENTS for verb in re.findall(r"`make ([a-z-]+)", document.read_text())}
    assert named - verbs == set()
