"""The gateway's brain: which worker, again or not, now or later, too late or not.

`brain` decides; `worker_state` is what it knows of one worker; `failover` is the rule that keeps a request
which kills workers from killing a third; `ports` is all it asks of the outside.
"""
