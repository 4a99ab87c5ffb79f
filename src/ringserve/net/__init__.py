"""Sockets: the HTTP listener, both ends of the link between gateway and worker, the timer that drives them.

Belongs here: moving bytes between sockets and `wire`, and calling a brain in `core`.
Does not: an `if` about routing, batching, retrying or draining. Socket errors are translated here.
"""
