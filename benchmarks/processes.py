"""Servers as real processes: started on free ports, watched through /proc, always stopped."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

RINGSERVE = (sys.executable, "-m", "ringserve")
START_LIMIT_S, STOP_LIMIT_S = 60, 40


@contextmanager
def running(command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process for as long as the block lasts; what it prints goes nowhere but stderr."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_ports(count: int, *, consecutive: bool = False) -> list[int]:
    """Ports that were free a moment ago; `consecutive` for `up`, which counts on from its base port."""
    while True:
        with_first = socket.create_server(("127.0.0.1", 0))
        sockets = [with_first]
        first = with_first.getsockname()[1]
        try:
            sockets += [
                socket.create_server(("127.0.0.1", first + number if consecutive else 0))
                for number in range(1, count)
            ]
            return [one.getsockname()[1] for one in sockets]
        except (OSError, OverflowError):
            continue
        finally:
            for one in sockets:
                one.close()


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def healthy(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
    except OSError:
        return False
    return True


def wait_until(condition: Callable[[int], bool], port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until the server answers as it should, as long as its process lives."""
    until = time.monotonic() + START_LIMIT_S
    while not condition(port):
        if process.poll() is not None or time.monotonic() > until:
            raise SystemExit(f"no {condition.__name__} server on port {port}: {process.args!r}")
        time.sleep(0.02)


def children_of(pid: int) -> list[int]:
    listed = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    return [int(child) for children in listed for child in children]


def command_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")


def cpu_s(pid: int) -> float:
    """CPU seconds that all threads of the process have used, to a hundredth."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    """Resident memory, shared libraries included."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024
