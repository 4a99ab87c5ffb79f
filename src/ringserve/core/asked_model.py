"""Which of the models that are served a request means, and what is said where it means none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringserve.errors import BadRequest, NotFound, NotReady

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringserve.core.router.worker_state import Offer, Unready
    from ringserve.core.tensor import ModelSpec
    from ringserve.errors import ServeError

NAMES_SHOWN_MAX = 10
"""Models that a sentence names."""
_CHARACTERS_SHOWN_MAX = 100
"""Of a name that came from anybody."""


def find_offer(
    name: str,
    version: str,
    offers: Sequence[Offer],
    unready: Sequence[Unready] = (),
    default_model: str = "",
) -> Offer:
    """Find the model that is asked for.

    Args:
        name: Of the model; empty for the only one, or the default one.
        version: Of it; empty for that which its server takes where none is asked for.
        offers: What is ready.
        unready: What is known and not ready.
        default_model: Taken where none is named; empty where there is no such model.

    Raises:
        NotFound: There is none of that name or version, or it is not served; the sentence names what is.
        NotReady: It is being loaded, or nothing is ready at all.
        BadRequest: None is named, and there are several.
    """
    if not name:
        name = default_model or _only_name(offers)
    for offer in offers:
        spec = offer.spec
        if spec.name == name and (offer.default if not version else spec.version == version):
            return offer
    raise why_none(name, version, offers, unready)


def why_none(name: str, version: str, offers: Sequence[Offer], unready: Sequence[Unready]) -> ServeError:
    """The answer to a request for a model that is not served; arguments as of `find_offer`."""
    of_name = [offer.spec.version for offer in offers if offer.spec.name == name]
    for model in unready:
        if model.name == name and version in ("", model.version) and not (of_name and not version):
            return _not_ready(model)
    if of_name:
        return NotFound(no_such_version(name, version, of_name))
    return NotFound(no_such_model(name, _names(offers)))


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


def _only_name(offers: Sequence[Offer]) -> str:
    names = _names(offers)
    if not names:
        raise NotReady("no model is ready here", 1.0)
    if len(names) > 1:
        raise BadRequest(no_model_named(names))
    return names[0]


def _names(offers: Sequence[Offer]) -> list[str]:
    return list(dict.fromkeys(offer.spec.name for offer in offers))


def _not_ready(model: Unready) -> ServeError:
    what = f"model {model.name!r}" + (f" version {model.version!r}" if model.version else "")
    because = f": {model.reason}" if model.reason else ""
    if model.state == "LOADING":
        return NotReady(f"{what} is still loading{because}", 1.0)
    return NotFound(f"{what} is not served now{because}")


def _listed(names: Sequence[str]) -> str:
    """The names in a sentence, with the verb that follows them; of many the first ones."""
    shown = [repr(name[:_CHARACTERS_SHOWN_MAX]) for name in names[:NAMES_SHOWN_MAX]]
    if len(names) == 1:
        return f"{shown[0]} is"
    if len(names) > NAMES_SHOWN_MAX:
        return f"{', '.join(shown)} and {len(names) - NAMES_SHOWN_MAX} more are"
    return f"{', '.join(shown[:-1])} and {shown[-1]} are"
