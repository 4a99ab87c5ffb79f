"""Where a figure was measured, and where it is kept."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path

FOLDER = Path(__file__).parent / "results"
PACKAGES = ("ringserve", "uvicorn", "uvloop", "httptools", "orjson", "msgspec", "numpy", "onnxruntime")


def machine() -> dict[str, str]:
    """The machine, and how busy it was before the measurement: a busy one makes figures worse."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "system": f"{platform.system()} {platform.release()}",
        "load_before": f"{os.getloadavg()[0]:.2f}",
    }


def versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def keep(name: str, where: dict[str, str], figures: object) -> None:
    """Print machine and versions, and write everything to results/NAME.json."""
    used = versions()
    print(", ".join(f"{key} {value}" for key, value in where.items()))
    print(", ".join(f"{key} {value}" for key, value in used.items()))
    FOLDER.mkdir(exist_ok=True)
    content = {"machine": where, "versions": used, "figures": figures}
    (FOLDER / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
