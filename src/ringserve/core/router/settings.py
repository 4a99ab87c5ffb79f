"""The numbers a router goes by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RouterSettings:
    """Thresholds and time-outs.

    Attributes:
        virtual_nodes: Places of a worker on the ring.
        failure_threshold: Consecutive failures that open a breaker.
        success_threshold: Successes that close it again.
        circuit_timeout_s: How long it stays open.
        hang_timeout_s: How long a link may give no byte, and a run may last at the least.
        parked_max: Requests that may wait for the outcome of a trial.
    """

    virtual_nodes: int = 150
    failure_threshold: int = 5
    success_threshold: int = 2
    circuit_timeout_s: float = 30.0
    hang_timeout_s: float = 2.0
    parked_max: int = 1024
