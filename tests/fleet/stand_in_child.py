"""A child of a supervisor that behaves as its first argument says; speaks the real channel.

Usage: stand_in_child.py BEHAVIOUR NOTES --supervisor-fd N. It adds a line to the file NOTES at each event.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from ringserve.observe.beat import Beat

behaviour, notes, _, fd = sys.argv[1:]
role = Path(notes).name
asked: list[int] = []
signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))  # an Event's lock may be held just then


def note(text: str) -> None:
    """Append in one write, so that lines of several processes stay whole."""
    with Path(notes).open("a") as file:
        file.write(f"{text} {os.getpid()}\n")


lives = Path(notes).read_text().count("start") if Path(notes).exists() else 0
note("start")
beat = Beat(int(fd), 0.5)
beat.start()
if {"usage": True, "usage later": lives > 0, "usage second": lives == 1}.get(behaviour, False):
    told = beat.fatal("the model is no model; name another")
    sys.exit(2 if told else 3)
crashes = {"crash": True, "crash once": lives == 0, "crash second": lives == 1}
if crashes.get(behaviour, False):
    os.kill(os.getpid(), signal.SIGKILL)
beat.beat("starting", healthy=False)
if {"slow to be ready": True, "slow to be ready again": lives > 0}.get(behaviour, False):
    time.sleep(0.5)
if behaviour == "with a process of its own":
    helper = subprocess.Popen([sys.executable, "-c", "import threading; threading.Event().wait()"])
    note(f"helper {helper.pid}")
beat.beat("ready", healthy=True)
note("ready")
first = lives == 0
while not asked:
    time.sleep(0.05)
    silent = behaviour == "silent once" and first
    if not silent:
        beat.beat("ready", healthy=not (behaviour == "unhealthy once" and first))
note("asked")
if behaviour == "deaf":
    while True:
        signal.pause()
note("end")
sys.exit(7 if behaviour == "ends badly" else 0)
