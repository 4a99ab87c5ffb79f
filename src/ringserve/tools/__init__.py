"""What a person runs beside the servers: the benchmark and the diagnosis.

Belongs here: tools that speak HTTP to a running gateway and its workers, and print.
Does not belong here: anything a server needs.
"""
