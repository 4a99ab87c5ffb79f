"""What the routes of `/v2` that infer nothing answer."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from time import monotonic
from typing import TYPE_CHECKING

from ringserve.errors import NotReady, NoWorker
from ringserve.net.oip_paths import Oip, OipPath
from ringserve.wire import oip_pages

if TYPE_CHECKING:
    from collections.abc import Callable

    from ringserve.core.tensor import ModelSpec
    from ringserve.net.backend import Backend

    Shown = tuple[int, object]


def served_model(backend: Backend, path: OipPath) -> ModelSpec:
    """The model that a path names.

    Raises:
        NotFound: Another one is served.
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
    try:
        served_model(backend, path)
    except (NotReady, NoWorker):
        return 503, {"name": path.model, "ready": False}
    ready = _is_ready(backend)
    return (200 if ready else 503), {"name": path.model, "ready": ready}


def _models(backend: Backend, _path: OipPath) -> Shown:
    return 200, {"models": [backend.codec().spec.name]}


def _statistics(backend: Backend, path: OipPath) -> Shown:
    return _page_of_statistics(backend, served_model(backend, path))


def _all_statistics(backend: Backend, _path: OipPath) -> Shown:
    return _page_of_statistics(backend, backend.codec().spec)


def _page_of_statistics(backend: Backend, spec: ModelSpec) -> Shown:
    counted = backend.model_statistics(spec, monotonic())
    return 200, {"model_stats": [oip_pages.model_statistics(spec, counted)]}


def _index(backend: Backend, _path: OipPath) -> Shown:
    try:
        return 200, [oip_pages.index_row(backend.codec().spec)]
    except (NotReady, NoWorker):
        return 200, []


PAGES: dict[Oip, Callable[[Backend, OipPath], Shown]] = {
    Oip.SERVER: lambda _backend, _path: (200, oip_pages.server_metadata(_version())),
    Oip.LIVE: _live,
    Oip.READY: _ready,
    Oip.MODELS: _models,
    Oip.ALL_STATISTICS: _all_statistics,
    Oip.MODEL: lambda backend, path: (200, oip_pages.model_metadata(served_model(backend, path))),
    Oip.MODEL_READY: _model_ready,
    Oip.CONFIG: lambda backend, path: (200, oip_pages.model_config(served_model(backend, path))),
    Oip.STATISTICS: _statistics,
    Oip.INDEX: _index,
}
"""The page of each route but `INFER`: its status, and what is written as JSON."""
