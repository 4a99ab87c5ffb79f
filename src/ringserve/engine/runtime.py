"""The edge to onnxruntime and to the machine's devices: the only file that imports onnxruntime.

Tests put a stand-in for this edge where a machine with CUDA, or a broken one, is needed.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import importlib.util
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import onnxruntime

from ringserve.core.tensor import DType, count_elements
from ringserve.engine.arrays import Array, array_type
from ringserve.engine.reasons import shorten
from ringserve.errors import UsageError

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
SILENT = 4
"""ONNX Runtime's log level `fatal`: its errors reach us as exceptions, with the same text."""
_EXTENSIONS = "onnxruntime_extensions"
_BFLOAT16 = 16
"""ONNX's number for that element type."""


class Argument(Protocol):
    """An input or output as a session describes it; `type` is such as `tensor(float)`."""

    name: str
    type: str
    shape: Sequence[int | str | None]


class Session(Protocol):
    """What we use of an `onnxruntime.InferenceSession`; `run` may be called from several threads."""

    def get_inputs(self) -> Sequence[Argument]:
        """Describe the inputs."""

    def get_outputs(self) -> Sequence[Argument]:
        """Describe the outputs."""

    def get_providers(self) -> Sequence[str]:
        """Name the providers in use, the preferred one first."""

    def run(self, output_names: Sequence[str], input_feed: dict[str, Array]) -> list[Array]:
        """Compute the outputs named."""


class BFloatSession:
    """A session with tensors of BF16, which numpy has not: their bits go in and come out as 16-bit integers.

    onnxruntime takes values of its own in their place. It gives outputs of BF16 as such values only, and then
    wants all inputs as such too, which it cannot make of strings.
    """

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        """See which inputs and outputs are of that type.

        Raises:
            UsageError: The model takes strings too.
        """
        self._session = session
        bfloat, string = DType.BF16.onnx, DType.BYTES.onnx
        self._inputs = {own.name for own in session.get_inputs() if own.type == bfloat}
        self._outputs = {own.name for own in session.get_outputs() if own.type == bfloat}
        if self._outputs and any(own.type == string for own in session.get_inputs()):
            raise UsageError(
                "onnxruntime runs no model that takes strings and gives BF16; export its outputs as float32"
            )
        self.get_inputs, self.get_outputs = session.get_inputs, session.get_outputs
        self.get_providers = session.get_providers

    def run(self, output_names: Sequence[str], input_feed: dict[str, Array]) -> list[Array]:
        """Compute the outputs named."""
        make = onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type
        feed = {
            name: make(array, _BFLOAT16) if name in self._inputs else array
            for name, array in input_feed.items()
        }
        if self._outputs.isdisjoint(output_names):
            return list(self._session.run(output_names, feed))
        plain = onnxruntime.OrtValue.ortvalue_from_numpy
        values = {
            name: plain(value) if isinstance(value, np.ndarray) else value for name, value in feed.items()
        }
        outputs = self._session.run_with_ort_values(output_names, values)
        return [_array_of(value) for value in outputs]


class Runtime:
    """onnxruntime as installed, on this machine.

    Attributes:
        libraries: The folder with onnxruntime's provider libraries.
        cuda_driver: The name of the NVIDIA driver's library.
        device_files: One of these exists where the machine has an NVIDIA device.
        custom_ops: Libraries of operators that every model opened from now on gets.
    """

    libraries = Path(onnxruntime.__file__).parent / "capi"
    cuda_driver = "libcuda.so.1"
    device_files: tuple[Path, ...] = (Path("/dev/nvidia0"), Path("/proc/driver/nvidia/gpus"))

    custom_ops: tuple[str, ...] = ()

    def available(self) -> Sequence[str]:
        """Name the providers that are in this build."""
        return list(onnxruntime.get_available_providers())

    def has_nvidia_device(self) -> bool:
        """Whether this machine has an NVIDIA device, usable or not."""
        return any(path.exists() for path in self.device_files)

    def open(self, model: Path | bytes, providers: Sequence[str], threads: int) -> Session:
        """Open a model.

        Args:
            model: The model's file, or what stands in it.
            providers: In order of preference. One whose libraries do not load is left out without a word.
            threads: Threads that work on one operator, the calling one included.

        Raises:
            Exception: Whatever onnxruntime raises; `reasons.shorten` makes a sentence of it.
        """
        onnxruntime.set_default_logger_severity(SILENT)
        if CUDA in providers and hasattr(onnxruntime, "preload_dlls"):
            # Finds CUDA where pip put it (the nvidia-* packages). It prints what it misses: that is
            # no failure yet, and the true reason is told in our own words if it becomes one.
            with contextlib.redirect_stdout(io.StringIO()):
                onnxruntime.preload_dlls()
        options = _options(threads)
        for library in self.custom_ops:
            try:
                options.register_custom_ops_library(library)
            except Exception as error:  # the border: onnxruntime's errors share no base class
                reason = shorten(error)
                raise UsageError(
                    f"the library {library} of custom operators cannot be used: {reason}"
                ) from error
        session: Session = onnxruntime.InferenceSession(
            model, options, providers=list(providers), enable_fallback=0
        )
        return BFloatSession(session) if _has_bfloats(session) else session

    def extensions_library(self) -> str:
        """The library of the package onnxruntime-extensions; empty where that is not installed."""
        if importlib.util.find_spec(_EXTENSIONS) is None:
            return ""
        return str(importlib.import_module(_EXTENSIONS).get_library_path())

    def load_library(self, name: str) -> str:
        """Try to load a shared library: the linker's reason why it does not load, or nothing."""
        try:
            ctypes.CDLL(name)
        except OSError as error:
            return str(error)
        return ""


def _has_bfloats(session: Session) -> bool:
    arguments = [*session.get_inputs(), *session.get_outputs()]
    return any(argument.type == DType.BF16.onnx for argument in arguments)


def _array_of(value: onnxruntime.OrtValue) -> Array:
    if value.element_type() != _BFLOAT16:
        array: Array = value.numpy()
        return array
    shape = tuple(value.shape())
    # The value owns these bytes until it is dropped, so they are copied.
    if value.device_name() != "cpu":
        raise RuntimeError(f"an output of BF16 was left on the device {value.device_name()}")
    raw = ctypes.string_at(value.data_ptr(), 2 * count_elements(shape))
    return np.frombuffer(raw, array_type(DType.BF16)).reshape(shape)


def _options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = SILENT
    # A spinning pool burns the cores that the event loops and the other workers need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return options
