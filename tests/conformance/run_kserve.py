"""`python -m tests.conformance.run_kserve PYTHON`: serve what the KServe SDK is checked against; check it.

PYTHON is the interpreter of the environment that has the SDK; see `kserve_check.py`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from ringserve.models.digits import digits_path
from tests.integration.servers import Servers, free_port
from tests.support.all_types import everything

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """End with the status of the check."""
    with TemporaryDirectory() as name, Servers(Path(name)) as servers:
        addresses: list[str] = []
        for path in (everything(Path(name) / "all types.onnx"), digits_path()):
            port = free_port()
            gateway = servers.gateway([servers.worker(path)], "--grpc-port", str(port))
            addresses += [gateway.address, f"127.0.0.1:{port}"]
        command = [sys.argv[1], "-m", "tests.conformance.kserve_check", *addresses]
        sys.exit(subprocess.run(command, cwd=ROOT, check=False, timeout=300).returncode)


if __name__ == "__main__":
    main()
