"""Looking at what runs: statistics, logs, and the beat a child process sends to its supervisor.

Belongs here: reading the `statistics()` of the rooms below and saying them to a person or a machine.
Does not: decisions; nothing here changes what it looks at.
"""
