"""Who starts, watches and restarts the processes of a fleet on one machine.

Belongs here: child processes, their supervision channel, restarts with back-off, the table of what runs.
Does not: what happens inside a worker or a gateway.
"""
