"""How many cores this process may use, and how many threads a worker's engine gets of them."""

from __future__ import annotations

import os
from pathlib import Path

SLOTS_MIN, SLOTS_MAX = 2, 16


def cores_available(root: Path = Path("/")) -> int:
    """Count the cores this process may use: its CPU affinity, cut by its cgroup's quota (v1 or v2).

    A quota of 1.5 cores counts as 1: a second thread would be throttled for half of the time.

    Args:
        root: Where `proc` and `sys` are; another place than `/` in tests.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min([float(cores), *_quotas(root)])))


def threads_for(workers_here: int, threads: int, cores: int | None = None) -> int:
    """Divide the machine's cores among its workers.

    Args:
        workers_here: Workers that share this machine.
        threads: What the person asked for; 0 for a fair share.
        cores: Cores to divide; `cores_available()` when not given.

    Returns:
        Threads for one engine, at least 1.
    """
    if threads > 0:
        return threads
    return max(1, (cores_available() if cores is None else cores) // max(1, workers_here))


def slots_for(threads: int, provider: str) -> int:
    """How many runs of one item go on at a time, where items do not share runs.

    Two even on one core: the next begins while an answer is carried away. On the CPU as many as the worker
    has threads, since few operators keep more than one busy with one item; a device takes one after another.
    Measured on two cores with convolutions of 0.2 and 3 ms an item: two runs at a time gave 1.9 and 1.8 times
    the throughput of one; three and four gave no more, and made the slowest answers 3 to 10 times slower.

    Args:
        threads: Threads for one run.
        provider: What runs the model, such as `cpu`.
    """
    return min(max(SLOTS_MIN, threads), SLOTS_MAX) if provider == "cpu" else SLOTS_MIN


def _quotas(root: Path) -> list[float]:
    """Every limit on this process's cgroup and the groups above it, in cores."""
    limits = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if controllers == "":
            mounts, read = ["sys/fs/cgroup", "sys/fs/cgroup/unified"], _quota_v2
        elif "cpu" in controllers.split(","):
            mounts, read = ["sys/fs/cgroup/cpu", f"sys/fs/cgroup/{controllers}"], _quota_v1
        else:
            continue
        # Inside a container the path may be the host's while the mount shows the container's own group:
        # walking up to the mount finds the quota in both cases.
        for mount in mounts:
            folder = root / mount / group.lstrip("/")
            while folder.is_relative_to(root / mount):
                limits.append(read(folder))
                folder = folder.parent
    return [limit for limit in limits if limit is not None]


def _quota_v2(folder: Path) -> float | None:
    words = _read(folder / "cpu.max").split()
    return _divide(words[0], words[1]) if len(words) == 2 else None  # noqa: PLR2004 - quota and period


def _quota_v1(folder: Path) -> float | None:
    return _divide(_read(folder / "cpu.cfs_quota_us").strip(), _read(folder / "cpu.cfs_period_us").strip())


def _divide(quota: str, period: str) -> float | None:
    """Quota by period; None where there is no limit (`max` in v2, -1 in v1, no file)."""
    if not (quota.isdigit() and period.isdigit() and int(period) > 0):
        return None
    return int(quota) / int(period)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""  # no such controller here: nothing limits us
