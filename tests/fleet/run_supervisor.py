"""Runs a supervisor over stand-in children: run_supervisor.py FOLDER GATEWAY WORKER... (behaviours).

The limits are shortened through the environment (LIMITS, JSON), so that a test need not wait for minutes.
"""

import json
import os
import sys
from pathlib import Path

from ringserve import limits
from ringserve.errors import UsageError
from ringserve.fleet.child import Child
from ringserve.fleet.report import show_fleet
from ringserve.fleet.stop_order import StopOrder
from ringserve.fleet.supervisor import Supervisor
from ringserve.observe.logs import set_up_logs

for name, value in json.loads(os.environ.get("LIMITS", "{}")).items():
    setattr(limits, name, value)

folder, *behaviours = sys.argv[1:]
program = str(Path(__file__).with_name("stand_in_child.py"))


def child(name: str, behaviour: str) -> Child:
    """Describe one."""
    command = [sys.executable, program, behaviour, str(Path(folder, name))]
    return Child(name, name.partition("_")[0], "127.0.0.1:1", command, model="m")


set_up_logs("info", "up")
gateway = child("gateway", behaviours[0])
workers = [child(f"worker_{number}", behaviour) for number, behaviour in enumerate(behaviours[1:], 1)]
order = StopOrder(float(os.environ.get("STOP_S", "20")), float(os.environ.get("STOP_S", "20")))
supervisor = Supervisor(
    workers, gateway, os.environ, order, lambda: show_fleet([*workers, gateway], ["next"])
)
try:
    sys.exit(supervisor.run())
except UsageError as error:
    sys.stderr.write(f"{error}\n")
    sys.exit(2)
