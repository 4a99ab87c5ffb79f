"""`ringserve bench`: send a load to a gateway and say how it went."""

from __future__ import annotations

from ringserve.errors import UsageError
from ringserve.tools.options import BenchOptions

__all__ = ["BenchOptions", "run_bench"]


def run_bench(options: BenchOptions) -> int:
    """Run the benchmark and print its report.

    Args:
        options: What to send, where to, and how to report.

    Returns:
        The exit status: 0 when every request succeeded, 1 when some failed or were not sent.

    Raises:
        UsageError: The gateway cannot be reached, or an option's value is impossible.
    """
    message = f"cannot reach the gateway at {options.gateway}"
    raise UsageError(message)
