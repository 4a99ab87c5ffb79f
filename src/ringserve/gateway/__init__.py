"""A gateway process, put together: listener, router, one link a worker.

Belongs here: start, wiring, drain and exit of one gateway.
Does not: anything about a worker's inside; a gateway never imports `worker`.
"""
