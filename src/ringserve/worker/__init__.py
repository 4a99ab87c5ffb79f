"""A worker process, put together: listener, node, engine.

Belongs here: start, wiring, drain and exit of one worker.
Does not: anything about gateways; a worker never imports `gateway`.
"""
