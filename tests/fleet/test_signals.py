"""What a signal means to `up`, in processes of their own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, signal, sys
from ringserve.fleet.signals import Signals, has_terminal
with Signals() as signals:
    print(has_terminal(), flush=True)
    while not signals.stops and not signals.restarts:
        signals.wait([], None)
        signals.drain()
    print(signals.stops, signals.restarts, flush=True)
"""


def outcome(number: int, terminal: str | None) -> list[str]:
    helper = str(Path(__file__).with_name("in_terminal.py"))
    prefix = [] if terminal is None else [sys.executable, helper, terminal]
    command = [*prefix, sys.executable, "-c", PROGRAM]
    alone = terminal is None
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=alone) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        process.send_signal(number)
        return [*lines, *process.stdout]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_in_a_terminal_each_is_a_stop(number: int) -> None:
    here, there = os.openpty()
    try:
        assert outcome(number, os.ttyname(there)) == ["True\n", "1 0\n"]
    finally:
        os.close(here)
        os.close(there)


@pytest.mark.parametrize(("number", "counts"), [(signal.SIGINT, "1 0\n"), (signal.SIGHUP, "0 1\n")])
def test_without_a_terminal_a_hangup_asks_for_a_restart(number: int, counts: str) -> None:
    assert outcome(number, None) == ["False\n", counts]


def test_a_hangup_that_is_ignored_stays_ignored() -> None:
    """`nohup` wants it so; the process that sends itself one first hears of the next signal."""
    program = PROGRAM.replace(
        "with Signals", "signal.signal(signal.SIGHUP, signal.SIG_IGN)\nwith Signals"
    ).replace("    print(has", "    os.kill(os.getpid(), signal.SIGHUP)\n    print(has")
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.terminate()
        assert list(process.stdout) == ["1 0\n"]
