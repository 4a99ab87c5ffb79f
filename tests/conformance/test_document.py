"""Every example of docs/clients.md works; `make kserve` runs those that need the KServe SDK."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

import tests.conformance.stock  # noqa: F401 - imports tritonclient, without the warnings of its messages
from ringserve.models.digits import digits_path
from tests.conformance.document import DOCUMENT, Example, examples
from tests.integration.servers import Servers, free_port

STRICT = 'set -euo pipefail\ncurl() { command curl --fail-with-body --no-progress-meter "$@"; }\n'


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    port = free_port()
    with Servers(tmp_path_factory.mktemp("digits")) as servers:
        gateway = servers.gateway([servers.worker(digits_path())], "--grpc-port", str(port))
        yield gateway.address, f"127.0.0.1:{port}"


@pytest.mark.parametrize("example", examples("python"), ids=lambda example: f"line {example.line}")
def test_an_example_in_python_prints_what_it_says(
    example: Example, served: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    exec(compile(example.at(*served), f"{DOCUMENT.name}:{example.line}", "exec"), {})  # noqa: S102 - ours
    assert example.printed
    assert capsys.readouterr().out.splitlines() == example.printed


@pytest.mark.parametrize("example", examples("sh"), ids=lambda example: f"line {example.line}")
def test_an_example_for_the_shell_ends_well_and_gives_ten_chances(
    example: Example, served: tuple[str, str]
) -> None:
    command = ["bash", "-c", STRICT + example.at(*served)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    if done.stdout.startswith("{"):
        said = json.loads(done.stdout)
        numbers = said["output_data"] if "output_data" in said else said["outputs"][0]["data"]
    else:
        numbers = [float(number) for number in done.stdout.split()]
    assert len(numbers) == 10
    assert sum(numbers) == pytest.approx(1.0, abs=1e-4)


def test_each_client_has_its_examples() -> None:
    code = "".join(example.code for example in examples("python", "sh", "kserve"))
    for name in ("ringserve.Client", "AsyncClient", "tritonclient.http", "tritonclient.grpc", "curl"):
        assert name in code
    assert "InferenceRESTClient" in code
    assert "InferenceGRPCClient" in code
