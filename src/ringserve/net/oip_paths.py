"""Paths of the Open Inference Protocol: which route one leads to, for which model and version.

A model's name may hold any character, a slash too, so a path is split before it is unquoted.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

PREFIX = "/v2"


class Oip(enum.Enum):
    """The routes: the method that each takes, and the path as it is written in documents and metrics."""

    SERVER = ("GET", "/v2")
    LIVE = ("GET", "/v2/health/live")
    READY = ("GET", "/v2/health/ready")
    MODELS = ("GET", "/v2/models")
    ALL_STATISTICS = ("GET", "/v2/models/stats")
    MODEL = ("GET", "/v2/models/{model}")
    MODEL_READY = ("GET", "/v2/models/{model}/ready")
    CONFIG = ("GET", "/v2/models/{model}/config")
    STATISTICS = ("GET", "/v2/models/{model}/stats")
    INFER = ("POST", "/v2/models/{model}/infer")
    INDEX = ("POST", "/v2/repository/index")
    LOAD = ("POST", "/v2/repository/models/{model}/load")
    UNLOAD = ("POST", "/v2/repository/models/{model}/unload")

    method: str
    template: str

    def __init__(self, method: str, template: str) -> None:
        """Spell out the columns of the table above."""
        self.method = method
        self.template = template


@dataclass(frozen=True, slots=True)
class OipPath:
    """A path, read. `model` and `version` are empty where it names none."""

    route: Oip
    model: str = ""
    version: str = ""


_FIXED = {route.template: route for route in Oip if "{" not in route.template}
_OF_A_MODEL = {
    route.template.rpartition("{model}")[2][1:]: route
    for route in Oip
    if route.template.startswith("/v2/models/{model}")
}
_OF_A_FILE = {"load": Oip.LOAD, "unload": Oip.UNLOAD}


def read_path(raw: str) -> OipPath | None:
    """Find the route of a path as it came over the wire, still quoted and without its query.

    Returns:
        None where it leads nowhere.
    """
    path = raw.removesuffix("/") if len(raw) > 1 else raw
    fixed = _FIXED.get(path)
    if fixed is not None:
        return OipPath(fixed)
    parts = path.split("/")[1:]
    if parts[:3] == ["v2", "repository", "models"]:
        return _read_repository(parts[3:])
    if parts[:2] != ["v2", "models"] or len(parts) < 3:  # noqa: PLR2004 - v2, models, its name
        return None
    model, rest = _unquote(parts[2]), parts[3:]
    version: str | None = ""
    if rest[:1] == ["versions"] and len(rest) > 1:
        version, rest = _unquote(rest[1]) or None, rest[2:]
    route = _OF_A_MODEL.get("/".join(rest))
    if route is None or not model or version is None:
        return None
    return OipPath(route, model, version)


def _read_repository(parts: list[str]) -> OipPath | None:
    """What follows `/v2/repository/models`: a name, and what to do."""
    if len(parts) != 2 or parts[1] not in _OF_A_FILE:  # noqa: PLR2004 - these two
        return None
    model = _unquote(parts[0])
    return OipPath(_OF_A_FILE[parts[1]], model) if model else None


def _unquote(part: str) -> str | None:
    try:
        return unquote_to_bytes(part).decode()
    except UnicodeDecodeError:
        return None
