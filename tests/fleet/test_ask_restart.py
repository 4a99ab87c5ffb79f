"""What `ringserve restart` shows, in a terminal and without one."""

import io
import sys
from collections.abc import Iterator

import pytest

from ringserve.fleet.ask_restart import _messages, _show_plain, _show_rich

ROLL: list[dict[str, object]] = [
    {"of": 2, "note": "there is one worker"},
    {"name": "worker_1", "stage": "waiting", "done": 0},
    {"name": "worker_1", "stage": "draining", "done": 0},
    {"name": "worker_1", "stage": "starting", "done": 0},
    {"name": "gateway", "stage": "starting", "done": 1},
    {"name": "gateway", "stage": "draining", "done": 1},
]


def played(*more: dict[str, object]) -> Iterator[dict[str, object]]:
    return iter([*ROLL, *more])


def test_without_a_terminal_each_step_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert _show_plain(played({"end": ""})) == ""
    assert capsys.readouterr().out.splitlines() == [
        "there is one worker",
        *["worker_1 draining", "worker_1 starting", "worker_1 ready (1 of 2)"],
        *["gateway starting", "gateway draining", "gateway ready (2 of 2)"],
    ]


def test_an_early_end_calls_nothing_ready(capsys: pytest.CaptureFixture[str]) -> None:
    assert _show_plain(played({"end": "the new gateway did not become ready"})).startswith("the new gateway")
    assert "(2 of 2)" not in capsys.readouterr().out


def test_in_a_terminal_a_bar_says_who_is_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    assert _show_rich(played({"end": ""})) == ""
    shown = capsys.readouterr().out
    assert "there is one worker" in shown
    assert "all are new" in shown
    assert "2/2" in shown
    assert _show_rich(played({"end": "why"})) == "why"
    assert sys.stdout is not None


def test_a_fleet_that_ends_meanwhile_is_a_failure() -> None:
    *_, last = _messages(io.BytesIO(b'{"of": 2, "note": ""}\n'))
    assert last == {"end": "`ringserve up` ended before the restart did"}
