"""Every metric, once: its name, type, labels, meaning, and where in the statistics it stands.

Belongs here: tables of metrics, from which `/metrics` and docs/metrics.md are made.
Does not: formats, sockets, and anything that counts.
"""
