"""Runs a supervisor over stand-in children: run_supervisor.py FOLDER GATEWAY WORKER... (behaviours).

The limits are shortened through the environment (LIMITS, JSON), so that a test need not wait for minutes;
GATEWAYS says how many gateways of that behaviour there are.
"""

import json
import os
import sys
from pathlib import Path

from ringserve import limits
from ringserve.errors import UsageError
from ringserve.fleet.child import Child
from ringserve.fleet.crew import Crew
from ringserve.fleet.report import show_fleet
from ringserve.fleet.roll import Limits
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
number_of_gateways = int(os.environ.get("GATEWAYS", "1"))
gateways = [
    child(f"gateway{'_' + str(number) if number_of_gateways > 1 else ''}", behaviours[0])
    for number in range(1, number_of_gateways + 1)
]
workers = [child(f"worker_{number}", behaviour) for number, behaviour in enumerate(behaviours[1:], 1)]
stop_s = float(os.environ.get("STOP_S", "20"))
crew = Crew(workers, gateways, os.environ)
supervisor = Supervisor(crew, Limits(stop_s, stop_s), lambda: show_fleet(crew.placed, ["next"]))
try:
    sys.exit(supervisor.run())
except UsageError as error:
    sys.stderr.write(f"{error}\n")
    sys.exit(2)
