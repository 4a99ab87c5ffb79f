"""Where the running `up` of a port is found: a socket in a folder that is this user's alone.

The folder does not depend on the environment, so that a service and a login of the same user name the same
one. That it lies below a folder that others may write to is why its owner and mode are looked at each time:
whoever made it first might not be us.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ringserve.errors import UsageError

_BASE = Path("/tmp")  # noqa: S108 - checked below


def socket_path(port: int, base: Path = _BASE) -> Path:
    """Give the path of the socket of the `up` whose gateways listen on this port."""
    return _folder(base) / f"{port}.sock"


def make_folder(base: Path = _BASE) -> None:
    """Make the folder where it does not exist, and check that it is ours alone.

    Raises:
        UsageError: It is somebody else's, or open to others.
        OSError: It cannot be made.
    """
    _folder(base).mkdir(mode=0o700, exist_ok=True)
    check_folder(base)


def check_folder(base: Path = _BASE) -> None:
    """Check that the folder is a folder, ours, and closed to others.

    Raises:
        UsageError: It is not.
        OSError: There is none.
    """
    folder = _folder(base)
    seen = folder.lstat()
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.getuid() or stat.S_IMODE(seen.st_mode) & 0o077:
        raise UsageError(f"{folder} must be a folder of this user with mode 0700; remove it or mend that")


def _folder(base: Path) -> Path:
    return base / f"ringserve-{os.getuid()}"
