"""Every door against bytes from nowhere: the corpus, and a short search from it (`make fuzz`: a long one)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.search import CORPUS, GUIDED, inputs_of, search_blind
from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).resolve().parents[2]
RUNS = 700
"""Enough to find a fault that is near to an input of the corpus; the same ones each time."""


@pytest.mark.parametrize("target", TARGETS)
def test_every_input_of_the_corpus_keeps_what_is_promised(target: str) -> None:
    inputs = inputs_of(target)
    assert inputs
    for data in inputs:
        TARGETS[target](data)


def test_no_folder_of_the_corpus_is_without_a_target() -> None:
    assert {folder.name for folder in CORPUS.iterdir() if folder.is_dir()} == set(TARGETS)


@pytest.mark.parametrize("target", TARGETS)
def test_a_short_blind_search_finds_nothing(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert search_blind(target, 1, runs=RUNS) == RUNS


@pytest.mark.parametrize("target", TARGETS)
def test_a_short_search_guided_by_coverage_finds_nothing(target: str, tmp_path: Path) -> None:
    """Blind where atheris has no wheel, but with another seed than above."""
    if not GUIDED:
        assert search_blind(target, 2, runs=RUNS) == RUNS
        return
    command = [sys.executable, "-m", "tests.fuzz.search", target, "20", "-seed=1", f"-runs={RUNS}"]
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    found = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr[-4000:]
