"""The provider asked for is found or refused; CUDA missing in any of three ways is told in two lines."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from ringserve.engine.provider import choose, known_providers, open_session
from ringserve.engine.runtime import CPU, CUDA, Runtime, Session
from ringserve.errors import UsageError
from tests.support import models
from tests.support.shared_object import write_shared_object

BACK = "Falling back to CPU Provider..."
NO_DEVICE = (
    "/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:154 std::conditional_t<THRW, void> "
    "onnxruntime::CudaCall(ERRTYPE, const char*, int) [with ERRTYPE = cudaError; bool THRW = true] "
    "CUDA failure 100: no CUDA-capable device is detected ; GPU=-1 ; hostname=vm ; "
    "file=/x/cuda_execution_provider.cc ; line=355 ; expr=cudaSetDevice(info_.device_id); \n\n"
)
"""What onnxruntime-gpu 1.31 raises where the driver finds no device."""


class Machine(Runtime):
    """This machine with another build of onnxruntime, and with or without an NVIDIA device."""

    def __init__(self, *providers: str, device: bool, libraries: Path = Runtime.libraries) -> None:
        self.providers = [*providers, CPU]
        self.device = device
        self.libraries = libraries
        self.cuda_driver = "libringserve-no-such-driver.so.1"
        self.loads = False
        self.error = ""

    def available(self) -> Sequence[str]:
        return self.providers

    def has_nvidia_device(self) -> bool:
        return self.device

    def open(self, model: Path | bytes, providers: Sequence[str], threads: int) -> Session:
        if providers[0] != CPU and self.error:
            raise RuntimeError(self.error)
        session = super().open(model, [CPU], threads)
        return _On(session, list(providers)) if self.loads else session


class _On:
    """A session that says it runs elsewhere."""

    def __init__(self, session: Session, providers: list[str]) -> None:
        self.run = session.run
        self.get_inputs = session.get_inputs
        self.get_outputs = session.get_outputs
        self.providers = providers

    def get_providers(self) -> list[str]:
        return self.providers


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return models.mlp(tmp_path / "m.onnx")


def use(provider: str, model: Path, machine: Runtime) -> tuple[str, list[str]]:
    """Choose and open: the provider in use, and what was said."""
    said: list[str] = []
    session, name = open_session(choose(provider, said.append, machine), model, 1, said.append, machine)
    assert session.get_inputs()[0].name == "x"
    return name, said


@pytest.mark.parametrize(("provider", "device"), [("cuda", False), ("cuda", True), ("auto", True)])
def test_a_build_without_cuda_says_so(model: Path, provider: str, device: bool) -> None:
    name, said = use(provider, model, Machine(device=device))
    assert name == "cpu"
    reason = "this build of onnxruntime has no CUDA provider (put onnxruntime-gpu in its place)"
    assert said == [f"CUDA failed to load: {reason}", BACK]


@pytest.mark.parametrize(("provider", "device"), [("cuda", False), ("cuda", True), ("auto", True)])
def test_libraries_that_do_not_load_are_named(
    model: Path, tmp_path: Path, provider: str, device: bool
) -> None:
    write_shared_object(tmp_path / "libonnxruntime_providers_cuda.so", needs="libcublasLt.so.13")
    name, said = use(provider, model, Machine(CUDA, device=device, libraries=tmp_path))
    assert name == "cpu"
    assert said == [
        "CUDA failed to load: libcublasLt.so.13: cannot open shared object file: No such file or directory",
        BACK,
    ]


def test_a_missing_driver_is_named_where_cudas_own_libraries_load(model: Path, tmp_path: Path) -> None:
    write_shared_object(tmp_path / "libonnxruntime_providers_cuda.so", needs="libc.so.6")
    _, said = use("cuda", model, Machine(CUDA, device=True, libraries=tmp_path))
    assert said[0].startswith(
        "CUDA failed to load: libringserve-no-such-driver.so.1: cannot open shared object"
    )


def test_where_nobody_knows_the_reason_that_is_what_is_said(model: Path, tmp_path: Path) -> None:
    write_shared_object(tmp_path / "libonnxruntime_providers_cuda.so", needs="libc.so.6")
    machine = Machine(CUDA, device=True, libraries=tmp_path)
    machine.cuda_driver = "libc.so.6"
    _, said = use("cuda", model, machine)
    assert said == [
        "CUDA failed to load: onnxruntime left the CUDA provider out without giving a reason",
        BACK,
    ]


@pytest.mark.parametrize(("provider", "device"), [("cuda", False), ("cuda", True), ("auto", True)])
def test_no_usable_device_is_told_in_cudas_own_words(model: Path, provider: str, device: bool) -> None:
    machine = Machine(CUDA, device=device)
    machine.error = NO_DEVICE
    name, said = use(provider, model, machine)
    assert name == "cpu"
    assert said == ["CUDA failed to load: CUDA failure 100: no CUDA-capable device is detected", BACK]


@pytest.mark.parametrize("providers", [(), (CUDA,)])
def test_auto_without_a_device_takes_the_cpu_and_says_nothing(
    model: Path, providers: tuple[str, ...]
) -> None:
    assert use("auto", model, Machine(*providers, device=False)) == ("cpu", [])


@pytest.mark.parametrize("provider", ["auto", "cuda", "CUDAExecutionProvider", "GPU"])
def test_cuda_that_loads_is_used(model: Path, provider: str) -> None:
    machine = Machine(CUDA, device=True)
    machine.loads = True
    assert use(provider, model, machine) == ("cuda", [])


def test_a_damaged_model_is_not_blamed_on_cuda(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"no model")
    machine, said = Machine(CUDA, device=True), list[str]()
    machine.error = "Protobuf parsing failed."
    choice = choose("cuda", said.append, machine)
    with pytest.raises(Exception, match="Protobuf parsing failed"):
        open_session(choice, tmp_path / "m.onnx", 1, said.append, machine)
    assert said == []


@pytest.mark.parametrize(
    ("provider", "package"),
    [
        ("openvino", "onnxruntime-openvino"),
        ("OpenVINOExecutionProvider", "onnxruntime-openvino"),
        ("TENSORRT", "onnxruntime-gpu"),
        ("dml", "onnxruntime-directml"),
        ("coreml", "onnxruntime for macOS"),
        ("rocm", "onnxruntime-rocm"),
        ("qnn", "onnxruntime-qnn"),
    ],
)
def test_a_provider_that_this_build_lacks_names_its_package(provider: str, package: str) -> None:
    with pytest.raises(UsageError, match=f"not in this build of onnxruntime: put {package} in place"):
        choose(provider, print, Machine(device=False))


def test_an_unknown_provider_lists_the_known() -> None:
    with pytest.raises(UsageError, match=r"no provider 'gpux'; known are auto, cpu, cuda, tensorrt"):
        choose("gpux", print, Machine(device=False))


@pytest.mark.parametrize("error", ["", "the device is on fire"])
def test_another_provider_that_does_not_load_is_refused(model: Path, error: str) -> None:
    machine = Machine("OpenVINOExecutionProvider", device=False)
    machine.error = error
    with pytest.raises(UsageError, match=f"'openvino' failed to load .*{error}.*; use --provider cpu"):
        use("openvino", model, machine)


def test_every_provider_that_onnxruntime_knows_is_known() -> None:
    import onnxruntime

    for name in onnxruntime.get_all_providers():
        choose(name, print, Machine(*onnxruntime.get_all_providers(), device=False))
    assert "openvino" in known_providers()


def test_this_machines_own_providers_are_seen(model: Path) -> None:
    assert CPU in Runtime().available()
    name, _ = use("cpu", model, Runtime())
    assert name == "cpu"


def test_a_device_file_tells_of_a_device(tmp_path: Path) -> None:
    machine = Runtime()
    machine.device_files = (tmp_path / "nvidia0",)
    assert not machine.has_nvidia_device()
    (tmp_path / "nvidia0").touch()
    assert machine.has_nvidia_device()
