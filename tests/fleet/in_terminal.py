"""Runs a command in a terminal of its own: in_terminal.py TERMINAL COMMAND...

The terminal becomes the controlling one because this process leads a session and opens it first.
"""

import os
import sys

terminal, *command = sys.argv[1:]
os.setsid()
os.close(os.open(terminal, os.O_RDWR))
os.execv(command[0], command)  # noqa: S606
