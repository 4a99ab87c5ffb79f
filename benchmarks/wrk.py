"""The load: wrk, a generator written in C, so that the client is not what is measured."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).parent / "distinct.lua"
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
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(SCRIPT)]
    command.append(f"http://127.0.0.1:{port}/infer")
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    done, rate = _DONE.search(text), _RATE.search(text)
    if "Non-2xx" in text or "Socket errors" in text or done is None or rate is None:
        raise SystemExit(f"some requests failed:\n{text}")
    quantiles = {name: float(value) * _UNIT[unit] for name, value, unit in _QUANTILE.findall(text)}
    return Load(int(done[1]), float(rate[1]), quantiles["50"], quantiles["99"])
