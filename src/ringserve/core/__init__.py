"""Pure logic: every decision about routing, batching, caching, retrying and draining.

Belongs here: what can be decided from its arguments alone; time is an argument (`now`, monotonic seconds).
Does not: sockets, files, clocks, randomness, logging, frameworks. Imports: standard library, numpy, blake3.
`router` is the gateway's brain, `node` the worker's.
"""
