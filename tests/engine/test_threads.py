"""Cores are counted within the process's limits, and divided among the workers of a machine."""

import os
from pathlib import Path

import pytest

from ringserve.engine.threads import cores_available, slots_for, threads_for

ALLOWED = len(os.sched_getaffinity(0))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_without_a_quota_the_affinity_counts(tmp_path: Path) -> None:
    assert cores_available(tmp_path) == ALLOWED


@pytest.mark.parametrize(("quota", "cores"), [("100000", 1), ("150000", 1), ("50000", 1), ("max", ALLOWED)])
def test_a_quota_of_cgroup_v2_is_respected(tmp_path: Path, quota: str, cores: int) -> None:
    write(tmp_path / "proc/self/cgroup", "0::/box/inner\n")
    write(tmp_path / "sys/fs/cgroup/box/inner/cpu.max", f"{quota} 100000\n")
    assert cores_available(tmp_path) == cores


def test_a_quota_of_a_group_above_counts_too(tmp_path: Path) -> None:
    write(tmp_path / "proc/self/cgroup", "0::/box/inner\n")
    write(tmp_path / "sys/fs/cgroup/box/inner/cpu.max", "max 100000\n")
    write(tmp_path / "sys/fs/cgroup/box/cpu.max", "100000 100000\n")
    assert cores_available(tmp_path) == 1


def test_a_quota_of_cgroup_v1_is_respected(tmp_path: Path) -> None:
    write(tmp_path / "proc/self/cgroup", "5:memory:/x\n4:cpu,cpuacct:/box\n")
    write(tmp_path / "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_quota_us", "100000\n")
    write(tmp_path / "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_period_us", "100000\n")
    assert cores_available(tmp_path) == 1


def test_a_container_that_sees_the_hosts_path_finds_its_quota_at_the_mount(tmp_path: Path) -> None:
    write(tmp_path / "proc/self/cgroup", "4:cpu:/docker/abc\n")
    write(tmp_path / "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "100000\n")
    write(tmp_path / "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
    assert cores_available(tmp_path) == 1


def test_no_quota_of_cgroup_v1_is_minus_one(tmp_path: Path) -> None:
    write(tmp_path / "proc/self/cgroup", "4:cpu:/\n")
    write(tmp_path / "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n")
    write(tmp_path / "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
    assert cores_available(tmp_path) == ALLOWED


@pytest.mark.parametrize(("workers", "cores", "threads"), [(1, 8, 8), (3, 8, 2), (3, 2, 1), (0, 4, 4)])
def test_workers_share_the_cores(workers: int, cores: int, threads: int) -> None:
    assert threads_for(workers, 0, cores) == threads


def test_threads_asked_for_are_given() -> None:
    assert threads_for(3, 5, 2) == 5


def test_cores_of_this_machine_are_counted_when_none_are_given() -> None:
    assert threads_for(1, 0) == cores_available()


@pytest.mark.parametrize(
    ("threads", "provider", "slots"),
    [(1, "cpu", 2), (2, "cpu", 2), (6, "cpu", 6), (64, "cpu", 16), (64, "cuda", 2)],
)
def test_single_items_run_side_by_side_on_the_cores_and_one_after_another_on_a_device(
    threads: int, provider: str, slots: int
) -> None:
    assert slots_for(threads, provider) == slots
