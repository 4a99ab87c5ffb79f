"""Whether the model that a request names is the one that is served."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringserve.errors import NotFound

if TYPE_CHECKING:
    from ringserve.core.tensor import ModelSpec


def check_model(spec: ModelSpec, name: str, version: str) -> None:
    """Hold a name and a version against what is served.

    Args:
        spec: The model that is.
        name: As the caller gives it.
        version: As the caller gives it; empty where any will do.

    Raises:
        NotFound: It is another one.
    """
    if name != spec.name:
        raise NotFound(f"there is no model {name[:100]!r} here; {spec.name!r} is served")
    if version not in ("", spec.version):
        raise NotFound(
            f"model {spec.name!r} has no version {version[:100]!r} here; version {spec.version!r} is served"
        )
