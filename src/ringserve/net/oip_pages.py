"""What the routes of `/v2` that infer nothing answer, at once or when others have been asked."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING

from ringserve.errors import NotFound, NotReady, NoWorker
from ringserve.net.oip_paths import Oip, OipPath
from ringserve.wire import oip_pages
from ringserve.wire.control import LOAD, UNLOAD

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from ringserve.core.tensor import ModelSpec
    from ringserve.net.backend import Backend

    Shown = tuple[int, object]


def served_model(backend: Backend, path: OipPath) -> ModelSpec:
    """The model that a path names.

    Raises:
        NotFound: It is not served.
        ServeError: None is, yet.
    """
    return backend.codec(path.model, path.version).spec


@cache
def _version() -> str:
    return version("ringserve")


def _live(_backend: Backend, _path: OipPath) -> Shown:
    return 200, {"live": True}


def _ready(backend: Backend, _path: OipPath) -> Shown:
    ready = _is_ready(backend)
    return (200 if ready else 503), {"ready": ready}


def _is_ready(backend: Backend) -> bool:
    return backend.state() == "ready" and backend.healthy()


def _model_ready(backend: Backend, path: OipPath) -> Shown:
    """A model that is known and not served is not ready; one that nobody knows is an error."""
    ready = False
    try:
        spec = served_model(backend, path)
    except (NotReady, NoWorker):
        pass
    except NotFound:
        known = ((model.name, model.version) for model in backend.unready())
        if not any(name == path.model and path.version in ("", version) for name, version in known):
            raise
    else:
        ready = _is_ready(backend) and any(offer.spec is spec for offer in backend.offers())
    return (200 if ready else 503), {"name": path.model, "ready": ready}


def _models(backend: Backend, _path: OipPath) -> Shown:
    return 200, {"models": sorted({offer.spec.name for offer in backend.offers()})}


def _model(backend: Backend, path: OipPath) -> Shown:
    spec = served_model(backend, path)
    versions = [offer.spec.version for offer in backend.offers() if offer.spec.name == spec.name]
    return 200, oip_pages.model_metadata(spec, versions or [spec.version])


def _index(backend: Backend, _path: OipPath) -> Shown:
    return 200, oip_pages.index(backend.offers(), backend.unready())


async def _statistics(backend: Backend, path: OipPath) -> Shown:
    """Of all versions where the path names none."""
    spec = served_model(backend, path)
    specs = [offer.spec for offer in backend.offers() if offer.spec.name == spec.name]
    return await _page_of_statistics(backend, [spec] if path.version or not specs else specs)


async def _all_statistics(backend: Backend, _path: OipPath) -> Shown:
    return await _page_of_statistics(backend, [offer.spec for offer in backend.offers()])


async def _page_of_statistics(backend: Backend, specs: Sequence[ModelSpec]) -> Shown:
    counts = await backend.gather_statistics(specs)
    rows = [oip_pages.model_statistics(spec, counted) for spec, counted in zip(specs, counts, strict=True)]
    return 200, {"model_stats": rows}


async def _load(backend: Backend, path: OipPath) -> Shown:
    await backend.control(LOAD, path.model)
    return 200, {}


async def _unload(backend: Backend, path: OipPath) -> Shown:
    await backend.control(UNLOAD, path.model)
    return 200, {}


PAGES: dict[Oip, Callable[[Backend, OipPath], Shown]] = {
    Oip.SERVER: lambda _backend, _path: (200, oip_pages.server_metadata(_version())),
    Oip.LIVE: _live,
    Oip.READY: _ready,
    Oip.MODELS: _models,
    Oip.MODEL: _model,
    Oip.MODEL_READY: _model_ready,
    Oip.CONFIG: lambda backend, path: (200, oip_pages.model_config(served_model(backend, path))),
    Oip.INDEX: _index,
}
"""The page of each route that is shown at once: its status, and what is written as JSON."""

SLOW_PAGES: dict[Oip, Callable[[Backend, OipPath], Awaitable[Shown]]] = {
    Oip.ALL_STATISTICS: _all_statistics,
    Oip.STATISTICS: _statistics,
    Oip.LOAD: _load,
    Oip.UNLOAD: _unload,
}
"""The page of each route that others are asked for, or that takes its time."""
