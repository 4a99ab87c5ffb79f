"""Whether the model that a request names is one that is served."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringserve.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringserve.core.tensor import ModelSpec


_NAMES_SHOWN_MAX = 10
_CHARACTERS_SHOWN_MAX = 100


def no_such_model(name: str, served: Sequence[str]) -> str:
    """Why a model is not found; `served` are the names of those that are."""
    asked = f"there is no model {name[:_CHARACTERS_SHOWN_MAX]!r} here"
    return f"{asked}; {_listed(served)} served" if served else f"{asked}, nor any other now"


def no_such_version(name: str, version: str, served: Sequence[str]) -> str:
    """Why a version is not found; `served` are those that are."""
    asked = f"model {name!r} has no version {version[:_CHARACTERS_SHOWN_MAX]!r} here"
    return f"{asked}; version{'s' * (len(served) > 1)} {_listed(served)} served"


def no_model_named(served: Sequence[str]) -> str:
    """Why a request that names no model is refused where several are served."""
    return (
        f'the request must name its model ("model": "{served[0]}"), as {_listed(served)} served; '
        "or start the server with --default-model"
    )


def _listed(names: Sequence[str]) -> str:
    """The names in a sentence, with the verb that follows them; of many the first ones."""
    shown = [repr(name[:_CHARACTERS_SHOWN_MAX]) for name in names[:_NAMES_SHOWN_MAX]]
    if len(names) == 1:
        return f"{shown[0]} is"
    if len(names) > _NAMES_SHOWN_MAX:
        return f"{', '.join(shown)} and {len(names) - _NAMES_SHOWN_MAX} more are"
    return f"{', '.join(shown[:-1])} and {shown[-1]} are"


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
        raise NotFound(no_such_model(name, [spec.name]))
    if version not in ("", spec.version):
        raise NotFound(no_such_version(spec.name, version, [spec.version]))
