"""Libraries of operators that onnxruntime has not: those that were named, and the extensions' own."""

from __future__ import annotations

from pathlib import Path

from ringserve.engine.model_file import ModelFile
from ringserve.engine.runtime import Runtime
from ringserve.errors import UsageError

_EXTENSIONS_DOMAIN = "ai.onnx.contrib"


def libraries_for(file: ModelFile, named: str, runtime: Runtime) -> tuple[str, ...]:
    """Find the libraries that a model is opened with.

    Args:
        file: The model. Where it has operators of the extensions, their package is imported.
        named: Paths, separated by commas.
        runtime: Finds the package.

    Raises:
        UsageError: A path names no file, or the package is missing.
    """
    paths = [part.strip() for part in named.split(",") if part.strip()]
    for path in paths:
        if not Path(path).is_file():
            raise UsageError(f"--custom-ops: there is no library {path}; give the path of a .so file")
    if not paths and _EXTENSIONS_DOMAIN in file.domains:
        library = runtime.extensions_library()
        if not library:
            raise UsageError(
                f"{file.path} has operators of {_EXTENSIONS_DOMAIN!r}: install the package "
                "onnxruntime-extensions, or name their library with --custom-ops"
            )
        paths.append(library)
    return tuple(paths)
