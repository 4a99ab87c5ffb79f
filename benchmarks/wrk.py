"""The load: wrk, a generator written in C, so that the client is not what is measured."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).parent / "distinct.lua"
REQUESTS = Path(__file__).parent / "requests.lua"
_DONE = re.compile(r"(\d+) requests in")
_RATE = re.compile(r"Requests/sec:\s+([0-9.]+)")
_QUANTILE = re.compile(r"(50|99)%\s+([0-9.]+)(us|ms|s)\b")
_UNIT = {"us": 1e-3, "ms": 1.0, "s": 1e3}


@dataclass(frozen=True, slots=True)
class Load:
    requests: int
    rate: float
    p50_ms: float
    p99_ms: float


def require_wrk() -> None:
    """Exit 2 with the line that installs it where it is missing."""
    if shutil.which("wrk") is None:
        mend = "brew install wrk" if sys.platform == "darwin" else "sudo apt-get install wrk"
        print(f"wrk, which makes the load, is missing. Install it: {mend}", file=sys.stderr)
        raise SystemExit(2)


def load(port: int, *, connections: int, seconds: int) -> Load:
    """Send distinct inputs over so many connections for so long; any failed request ends the benchmark."""
    return _run(port, SCRIPT, {}, connections, seconds)


def load_requests(port: int, folder: Path, *, connections: int, seconds: int) -> Load:
    """Send the request that `bodies.write_body` wrote, as `load` does."""
    return _run(port, REQUESTS, {"BODY": str(folder)}, connections, seconds)


def _run(port: int, script: Path, more: dict[str, str], connections: int, seconds: int) -> Load:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script)]
    command.append(f"http://127.0.0.1:{port}/infer")
    environment = {**os.environ, **more}
    text = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    done, rate = _DONE.search(text), _RATE.search(text)
    if "Non-2xx" in text or "Socket errors" in text or done is None or rate is None:
        raise SystemExit(f"some requests failed:\n{text}")
    quantiles = {name: float(value) * _UNIT[unit] for name, value, unit in _QUANTILE.findall(text)}
    return Load(int(done[1]), float(rate[1]), quantiles["50"], quantiles["99"])
