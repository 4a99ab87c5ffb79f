"""The supervisor over real processes that behave as badly as wanted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

LIMIT_S = 30.0
PROGRAM = Path(__file__).with_name("run_supervisor.py")


class Fleet:
    """A running supervisor, what it says, and what its children noted."""

    def __init__(
        self, folder: Path, behaviours: list[str], gateways: int, stop_s: float, limits: dict[str, float]
    ) -> None:
        self.folder = folder
        more = {"STOP_S": str(stop_s), "GATEWAYS": str(gateways), "LIMITS": json.dumps(limits)}
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM), str(folder), *behaviours],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **more},
            start_new_session=True,  # without a terminal, from wherever the tests are run
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            self.lines.extend(output)

    def until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + LIMIT_S
        while not condition():
            assert time.monotonic() < end, f"not within {LIMIT_S} s; it said {self.lines}"
            time.sleep(0.01)

    def said(self, text: str) -> bool:
        return any(text in line for line in list(self.lines))

    def notes(self, name: str, event: str) -> list[int]:
        """The ids of the processes that noted an event."""
        file = self.folder / name
        lines = file.read_text().splitlines() if file.exists() else []
        return [int(line.split()[-1]) for line in lines if line.startswith(event)]

    def wait(self) -> int:
        status = self.process.wait(LIMIT_S)
        self._reader.join(LIMIT_S)
        return status

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.wait()

    def pids(self) -> list[int]:
        names = [file.name for file in self.folder.iterdir()]
        return [pid for name in names for event in ("start", "helper") for pid in self.notes(name, event)]

    def end(self) -> None:
        self.process.kill()
        self.wait()
        self.until(lambda: not any(alive(pid) for pid in self.pids()))


def alive(pid: int) -> bool:
    stat = Path("/proc", str(pid), "stat")
    try:
        return stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


Start = Callable[..., Fleet]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    fleets: list[Fleet] = []

    def begin(*behaviours: str, gateways: int = 1, stop_s: float = 20.0, **limits: float) -> Fleet:
        folder = tmp_path / str(len(fleets))
        folder.mkdir()
        fleets.append(Fleet(folder, list(behaviours), gateways, stop_s, limits))
        return fleets[-1]

    yield begin
    for fleet in fleets:
        fleet.end()


def up(fleet: Fleet) -> Fleet:
    fleet.until(lambda: fleet.said("next"))
    return fleet


def test_one_table_shows_what_runs_where(start: Start) -> None:
    fleet = up(start("good", "good", "good", gateways=2))
    table = "".join(fleet.lines)
    for name in ("gateway_1", "gateway_2", "worker_1", "worker_2"):
        assert f"{fleet.notes(name, 'start')[0]}  ready" in table
    assert fleet.stop() == 0, fleet.lines


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_drains_the_gateway_and_then_the_workers(start: Start, number: int) -> None:
    fleet = up(start("good", "good", "good"))
    assert fleet.stop(number) == 0
    told = [line.split("up: ")[1].strip() for line in fleet.lines if "up: " in line]
    assert told == ["draining gateway", "draining worker_1, worker_2", "all have ended"]
    assert all(len(fleet.notes(name, "end")) == 1 for name in ("gateway", "worker_1", "worker_2"))


def test_what_dies_is_started_again(start: Start) -> None:
    fleet = up(start("good", "good", "good"))
    os.kill(fleet.notes("worker_2", "start")[0], signal.SIGKILL)
    fleet.until(lambda: fleet.said("worker_2 is ready again"))
    os.kill(fleet.notes("gateway", "start")[0], signal.SIGSEGV)
    fleet.until(lambda: fleet.said("gateway is ready again"))
    assert fleet.said("worker_2 was ended by SIGKILL; it is started again in 0.2 s")
    assert fleet.said("gateway was ended by SIGSEGV; it is started again in 0.2 s")
    assert fleet.stop() == 0, fleet.lines


@pytest.mark.parametrize(
    ("behaviour", "why"),
    [("silent once", "said nothing for 1 s"), ("unhealthy once", "was unhealthy for 1 s")],
)
def test_what_hangs_is_killed_and_started_again(start: Start, behaviour: str, why: str) -> None:
    fleet = up(start("good", behaviour, "good", BEAT_SILENCE_MAX_S=1.0, UNHEALTHY_MAX_S=1.0))
    fleet.until(lambda: fleet.said("worker_1 is ready again"))
    assert fleet.said(f"worker_1 {why}: it is killed")
    assert len(fleet.notes("worker_1", "start")) == 2
    assert fleet.stop() == 0, fleet.lines


def test_a_stopped_process_counts_as_hung(start: Start) -> None:
    fleet = up(start("good", "good", BEAT_SILENCE_MAX_S=1.0))
    os.kill(fleet.notes("worker_1", "start")[0], signal.SIGSTOP)
    fleet.until(lambda: fleet.said("worker_1 is ready again"))
    assert fleet.stop() == 0, fleet.lines


def test_being_stopped_itself_is_nobodys_hang(start: Start) -> None:
    """Ctrl-Z and fg: the beats that came meanwhile are counted before the silence is."""
    fleet = up(start("good", "good", BEAT_SILENCE_MAX_S=1.0))
    fleet.process.send_signal(signal.SIGSTOP)
    time.sleep(1.5)  # the time that must not count is what is tested
    fleet.process.send_signal(signal.SIGCONT)
    assert fleet.stop() == 0, fleet.lines
    assert not fleet.said("killed")


def test_a_crash_at_the_start_is_retried_and_then_all_is_shown(start: Start) -> None:
    fleet = up(start("good", "crash once", "good"))
    fleet.until(lambda: len(fleet.notes("worker_1", "ready")) == 1)
    assert fleet.stop() == 0, fleet.lines


def test_a_crash_loop_is_given_up_with_one_line_and_the_rest_goes_on(start: Start) -> None:
    fleet = up(start("good", "crash", "good", RESTART_BACKOFF_MAX_S=0.2))
    fleet.until(lambda: fleet.said("given up"))
    assert len(fleet.notes("worker_1", "start")) == 5
    line = "worker_1 was ended by SIGKILL and is given up: it ended 5 times within 60 s"
    assert sum(line in said for said in fleet.lines) == 1
    assert fleet.process.poll() is None
    assert fleet.stop() == 0, fleet.lines


def test_without_its_last_worker_the_rest_is_drained_and_the_status_is_1(start: Start) -> None:
    fleet = start("good", "crash", "crash", RESTART_BACKOFF_MAX_S=0.2)
    assert fleet.wait() == 1
    assert fleet.said("no worker is left: the rest is stopped")


def test_a_gateway_that_is_given_up_leaves_the_others(start: Start) -> None:
    fleet = up(start("usage later", "good", gateways=2))
    os.kill(fleet.notes("gateway_2", "start")[0], signal.SIGKILL)
    fleet.until(lambda: fleet.said("gateway_2 ended with status 2 and is given up"))
    assert fleet.process.poll() is None
    os.kill(fleet.notes("gateway_1", "start")[0], signal.SIGKILL)
    assert fleet.wait() == 1
    assert fleet.said("no gateway is left: the rest is stopped")


def test_without_its_gateway_the_workers_are_drained_and_the_status_is_1(start: Start) -> None:
    fleet = start("crash", "good", "good", RESTART_BACKOFF_MAX_S=0.2)
    assert fleet.wait() == 1
    assert fleet.said("no gateway is left: the rest is stopped")
    assert all(len(fleet.notes(name, "end")) == 1 for name in ("worker_1", "worker_2"))


def test_a_usage_error_at_the_start_ends_all_with_that_line_alone(start: Start) -> None:
    fleet = start("good", "usage", "usage", "usage")
    assert fleet.wait() == 2
    assert fleet.lines == ["the model is no model; name another\n"]
    assert fleet.notes("gateway", "ready") == []


def test_a_usage_error_later_gives_the_child_up_with_its_sentence(start: Start) -> None:
    fleet = up(start("good", "usage later", "good"))
    os.kill(fleet.notes("worker_1", "start")[0], signal.SIGKILL)
    fleet.until(lambda: fleet.said("given up"))
    assert fleet.said("worker_1 ended with status 2 and is given up: the model is no model; name another")
    assert fleet.stop() == 0, fleet.lines


def test_a_bad_end_while_draining_is_status_1(start: Start) -> None:
    assert up(start("good", "ends badly", "good")).stop() == 1


def test_what_does_not_drain_in_time_is_killed(start: Start) -> None:
    fleet = up(start("good", "deaf", "good", stop_s=1.0))
    assert fleet.stop() == 1
    assert fleet.said("killing worker_1")


def test_a_second_request_kills_at_once(start: Start) -> None:
    fleet = up(start("deaf", "good", "good", stop_s=1000.0))
    fleet.process.send_signal(signal.SIGINT)
    fleet.until(lambda: fleet.notes("gateway", "asked") != [])
    assert fleet.stop(signal.SIGINT) == 1
    assert fleet.said("stopping at once")


def test_a_stop_during_the_start_is_clean(start: Start) -> None:
    fleet = start("good", "good", "good")
    fleet.until(lambda: fleet.notes("worker_1", "start") != [])
    assert fleet.stop() == 0, fleet.lines


@pytest.mark.parametrize("behaviour", ["good", "deaf"])
def test_nothing_is_left_when_the_supervisor_itself_is_killed(start: Start, behaviour: str) -> None:
    """A deaf child ends itself, half a second of drain and five of grace later."""
    fleet = up(start("good", behaviour, "good"))
    fleet.process.kill()
    fleet.wait()
    fleet.until(lambda: not any(alive(pid) for pid in fleet.pids()))


def test_what_a_dead_child_had_started_is_not_left(start: Start) -> None:
    fleet = up(start("good", "with a process of its own", "good"))
    (helper,) = [
        int(line.split()[1])
        for line in (fleet.folder / "worker_1").read_text().splitlines()
        if line.startswith("helper")
    ]
    assert alive(helper)
    os.kill(fleet.notes("worker_1", "start")[0], signal.SIGKILL)
    fleet.until(lambda: not alive(helper))
    assert fleet.stop() == 0, fleet.lines
