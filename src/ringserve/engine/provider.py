"""Which execution provider runs the model, and what is said when CUDA was wanted and is missing.

CUDA can be missing in three ways, and onnxruntime tells of each differently:

1. The build has no CUDA provider: it is not among the available ones.
2. Its libraries do not load: onnxruntime writes that to its own log and opens the session on the CPU.
   The true reason is what the linker says when it is asked for the provider's library.
3. No device is usable: opening the session raises.

In each, two lines tell why, and the CPU is used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ringserve.engine.reasons import shorten
from ringserve.engine.runtime import CPU, CUDA, Runtime, Session
from ringserve.errors import UsageError

_PACKAGES = {
    "cpu": (CPU, "onnxruntime"),
    "cuda": (CUDA, "onnxruntime-gpu"),
    "tensorrt": ("TensorrtExecutionProvider", "onnxruntime-gpu"),
    "nvtensorrtrtx": ("NvTensorRTRTXExecutionProvider", "onnxruntime-trt-rtx"),
    "openvino": ("OpenVINOExecutionProvider", "onnxruntime-openvino"),
    "directml": ("DmlExecutionProvider", "onnxruntime-directml"),
    "coreml": ("CoreMLExecutionProvider", "onnxruntime for macOS"),
    "rocm": ("ROCMExecutionProvider", "onnxruntime-rocm"),
    "migraphx": ("MIGraphXExecutionProvider", "onnxruntime-migraphx"),
    "qnn": ("QNNExecutionProvider", "onnxruntime-qnn"),
    "cann": ("CANNExecutionProvider", "onnxruntime-cann"),
    "vitisai": ("VitisAIExecutionProvider", "onnxruntime-vitisai"),
    "webgpu": ("WebGpuExecutionProvider", "onnxruntime-webgpu"),
    "azure": ("AzureExecutionProvider", "onnxruntime"),
    "dnnl": ("DnnlExecutionProvider", "onnxruntime built from source with --use_dnnl"),
    "xnnpack": ("XnnpackExecutionProvider", "onnxruntime built from source with --use_xnnpack"),
    "acl": ("ACLExecutionProvider", "onnxruntime built from source with --use_acl"),
    "armnn": ("ArmNNExecutionProvider", "onnxruntime built from source with --use_armnn"),
    "tvm": ("TvmExecutionProvider", "onnxruntime built from source with --use_tvm"),
    "rknpu": ("RknpuExecutionProvider", "onnxruntime built from source with --use_rknpu"),
    "vsinpu": ("VSINPUExecutionProvider", "onnxruntime built from source with --use_vsinpu"),
    "nnapi": ("NnapiExecutionProvider", "onnxruntime for Android"),
    "js": ("JsExecutionProvider", "onnxruntime for the web"),
    "webnn": ("WebNNExecutionProvider", "onnxruntime for the web"),
}
_ALIASES = {"dml": "directml", "trt": "tensorrt", "gpu": "cuda"}
_CUDA_LIBRARY = "libonnxruntime_providers_cuda.so"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ProviderChoice:
    """What to try.

    Attributes:
        name: Our short name, such as `cuda`.
        onnx: onnxruntime's name.
        falls_back: Whether the CPU takes over when it does not load.
        speaks: Whether two lines tell of that.
    """

    name: str
    onnx: str
    falls_back: bool
    speaks: bool


_ON_CPU = ProviderChoice("cpu", CPU, falls_back=False, speaks=False)


def choose(provider: str, say: Say, runtime: Runtime) -> ProviderChoice:
    """Choose what to try, from what was asked for and what this build has.

    Args:
        provider: `auto`, a short name or onnxruntime's own, in any case.
        say: Takes each line for the person who started us.
        runtime: onnxruntime and the machine.

    Raises:
        UsageError: The provider is unknown, or this build lacks it.
    """
    name = "cuda" if provider.lower() == "auto" else _short_name(provider)
    onnx, package = _PACKAGES[name]
    if name == "cpu":
        return _ON_CPU
    if name != "cuda":
        if onnx not in runtime.available():
            raise UsageError(
                f"provider {provider!r} is not in this build of onnxruntime: "
                f"put {package} in place of onnxruntime, or use --provider cpu"
            )
        return ProviderChoice(name, onnx, falls_back=False, speaks=False)
    speaks = provider.lower() != "auto" or runtime.has_nvidia_device()
    if onnx not in runtime.available():
        if speaks:
            _tell(say, f"this build of onnxruntime has no CUDA provider (put {package} in its place)")
        return _ON_CPU
    return ProviderChoice(name, onnx, falls_back=True, speaks=speaks)


def open_session(
    choice: ProviderChoice, model: Path | bytes, threads: int, say: Say, runtime: Runtime
) -> tuple[Session, str]:
    """Open the model on the provider chosen, and make sure that it is the one in use.

    Returns:
        The session and the short name of the provider that runs it.

    Raises:
        UsageError: A provider asked for by name (other than CUDA) does not load.
        Exception: Whatever onnxruntime raises about the model itself.
    """
    if choice.onnx == CPU:
        return runtime.open(model, [CPU], threads), "cpu"
    try:
        session = runtime.open(model, [choice.onnx, CPU], threads)
    except Exception as error:  # noqa: BLE001 - the border: providers raise what they like
        reason = shorten(error)
        # If the model is what is wrong, this raises the true error, and nothing was said of CUDA.
        session = runtime.open(model, [CPU], threads)
    else:
        if choice.onnx in session.get_providers():
            return session, choice.name
        reason = _why_not_loaded(runtime) if choice.name == "cuda" else "onnxruntime left it out"
    if not choice.falls_back:
        raise UsageError(f"provider {choice.name!r} failed to load ({reason}); use --provider cpu")
    tell_of_fallback(choice, reason, say)
    return session, "cpu"


def tell_of_fallback(choice: ProviderChoice, reason: str, say: Say) -> None:
    """Say that the CPU takes over, and why, where that was not to be expected."""
    if choice.speaks:
        _tell(say, reason)


def known_providers() -> Sequence[str]:
    """The short names, for help and for the sentence about an unknown one."""
    return ["auto", *_PACKAGES]


def _short_name(provider: str) -> str:
    wanted = provider.lower()
    wanted = _ALIASES.get(wanted, wanted)
    for name, (onnx, _) in _PACKAGES.items():
        if wanted in (name, onnx.lower()):
            return name
    raise UsageError(f"there is no provider {provider!r}; known are {', '.join(known_providers())}")


def _why_not_loaded(runtime: Runtime) -> str:
    """Ask the linker, for the driver last: a machine without it has no device to use."""
    for library in (str(runtime.libraries / _CUDA_LIBRARY), runtime.cuda_driver):
        reason = runtime.load_library(library)
        # Without onnxruntime around it the provider's own symbols are missing even when all is well.
        if reason and "undefined symbol: Provider_" not in reason:
            return shorten(reason)
    return "onnxruntime left the CUDA provider out without giving a reason"


def _tell(say: Say, reason: str) -> None:
    say(f"CUDA failed to load: {reason}")
    say("Falling back to CPU Provider...")
