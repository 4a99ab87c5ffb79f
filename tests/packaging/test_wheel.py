"""The wheel, built as for a release and installed where nothing of the source tree is on the path."""

import json
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import IO

import pytest

from ringserve.models.digits import held_out

ROOT = Path(__file__).resolve().parents[2]
READY = " ready on "


def pip(*arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "pip", "-q", "--no-input", *arguments], check=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build from a copy: a build in the tree would leave its products there, and might pick up older ones."""
    tree = tmp_path_factory.mktemp("tree")
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, tree)
    shutil.copytree(ROOT / "src", tree / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", tree / "dist", tree)
    (built,) = (tree / "dist").iterdir()
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into an empty environment and return its interpreter.

    The locked dependencies are lent by the environment that runs the tests (its folder on the path, without
    the .pth files in it, so that the source tree is not): no test needs a network.
    """
    home = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    interpreter = home / "bin" / "python"
    pip("--python", interpreter, "install", "--no-index", "--no-deps", wheel)
    (packages,) = home.glob("lib/python*/site-packages")
    (packages / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return interpreter


def address_in(lines: IO[str]) -> str:
    """Read on until the gateway says where it is."""
    said = []
    for line in lines:
        said.append(line)
        if "gateway" in line and READY in line:
            return line.rpartition(READY)[2].strip()
    pytest.fail("`ringserve up` ended before it was ready:\n" + "".join(said))


@pytest.fixture
def served(python: Path, tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Start `ringserve up` from the wheel; give the gateway's address."""
    flags = ["--workers", "2", "--port", "0", "--base-port", "0", "--grpc-port", "0"]
    command = [str(python), "-m", "ringserve", "up", *flags]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as up:
        assert up.stderr is not None
        try:
            yield address_in(up.stderr), up
        finally:
            up.terminate()


def test_wheel_carries_the_model_its_data_and_the_licences(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "ringserve/models/digits.onnx",
        "ringserve/models/digits_held_out.npz",
        "ringserve/py.typed",
    } <= names
    assert {name.rpartition("/")[2] for name in names if "/licenses/" in name} == {"LICENSE", "NOTICE"}
    assert not [name for name in names if not name.startswith("ringserve")]


def test_wheel_holds_every_module_of_the_source_tree(wheel: Path) -> None:
    source = {str(path.relative_to(ROOT / "src")) for path in (ROOT / "src").rglob("*.py")}
    assert {name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".py")} == source


def test_installed_command_tells_its_version_and_runs_from_the_wheel(python: Path, tmp_path: Path) -> None:
    version = subprocess.run(
        [python.parent / "ringserve", "--version"], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert version.stdout == "ringserve 0.1.0\n"
    where = subprocess.run(
        [python, "-c", "import ringserve; print(ringserve.__file__)"],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    assert Path(where.stdout).is_relative_to(python.parent.parent)


def test_up_from_the_wheel_reads_a_digit_and_stops_with_status_0(
    served: tuple[str, subprocess.Popen[str]], python: Path, tmp_path: Path
) -> None:
    url, up = served
    images, labels = held_out()
    body = json.dumps({"request_id": "r1", "input_data": images[0].tolist()}).encode()
    with closing(HTTPConnection(url.removeprefix("http://"), timeout=30)) as connection:
        connection.request("POST", "/infer", body)
        answer = json.load(connection.getresponse())
    assert answer["request_id"] == "r1"
    assert answer["output_data"].index(max(answer["output_data"])) == labels[0]
    call = f"""
import numpy, ringserve
with ringserve.Client({url!r}) as client:
    answer = client.infer("digits", {{"pixels": numpy.zeros((1, 64), numpy.float32)}})
    print(answer["probabilities"].shape)
"""
    client = subprocess.run([python, "-c", call], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert client.stdout == "(1, 10)\n"
    up.terminate()
    assert up.wait(timeout=30) == 0
