"""What the served model wants as input, as `GET /model` of a gateway or a worker tells it."""

from __future__ import annotations

import random
from dataclasses import dataclass
from math import prod
from urllib.parse import quote

from ringserve.tools.http_caller import Caller
from ringserve.tools.json_reply import object_in, objects_at, text_at

FREE_DIMENSION = 16
"""The size taken for a dimension that the model leaves open."""
_HTTP_OK = 200
_HTTP_BAD_REQUEST = 400


@dataclass(frozen=True, slots=True)
class ModelInput:
    """The input of one item: name, datatype (as in the Open Inference Protocol) and shape (-1 is open).

    Attributes:
        model: What requests must name, where several models are served; else empty.
    """

    name: str
    datatype: str
    item_shape: tuple[int, ...]
    model: str = ""

    @property
    def elements(self) -> int:
        """How many numbers one item has, open dimensions at `FREE_DIMENSION`."""
        return prod(self.sizes)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The item's shape, open dimensions at `FREE_DIMENSION`."""
        return tuple(FREE_DIMENSION if size < 0 else size for size in self.item_shape)

    @property
    def nested(self) -> bool:
        """Whether `/infer` needs nested lists: a flat one tells at most one open dimension."""
        return sum(size < 0 for size in self.item_shape) > 1


@dataclass(frozen=True, slots=True)
class ServedModel:
    """The model a server serves; `input` is None where `/infer` cannot describe it (several inputs, say)."""

    name: str
    version: str
    input: ModelInput | None


DIGITS = ServedModel("digits", "1", ModelInput("image", "FP32", (64,)))
"""Taken for a server without the route, which the C++ reference design does not have."""


def ask_model(caller: Caller) -> ServedModel | None:
    """Ask a server for its model; None where it has no such route, or does not tell yet.

    Of several models it is the first one that `/infer` can describe.

    Raises:
        CallError: There was no answer.
    """
    reply = caller.get("/model")
    if reply.status == _HTTP_BAD_REQUEST:
        return _first_of_several(caller)
    answer = object_in(reply) if reply.status == _HTTP_OK else None
    if answer is None or "inputs" not in answer:
        return None
    inputs = objects_at(answer, "inputs")
    described = _input_in(inputs[0]) if len(inputs) == 1 else None
    return ServedModel(text_at(answer, "name"), text_at(answer, "version"), described)


def _first_of_several(caller: Caller) -> ServedModel | None:
    listed = object_in(caller.get("/v2/models")) or {}
    names = listed.get("models")
    found = None
    for name in names if isinstance(names, list) else []:
        page = object_in(caller.get(f"/v2/models/{quote(str(name), safe='')}"))
        inputs = objects_at(page, "inputs") if page is not None and "inputs" in page else []
        described = _input_in(inputs[0], str(name)) if len(inputs) == 1 else None
        found = ServedModel(str(name), "", described)
        if described is not None:
            break
    return found


def _input_in(entry: dict[str, object], model: str = "") -> ModelInput | None:
    dims = entry.get("shape")
    if not isinstance(dims, list) or not all(isinstance(dim, int) for dim in dims):
        return None
    # A first axis that is open or 1 is the batch axis; any other fixed number belongs to the item.
    item = dims[1:] if dims and (dims[0] < 0 or dims[0] == 1) else dims
    return ModelInput(text_at(entry, "name"), text_at(entry, "datatype"), tuple(item), model)


def random_item(model_input: ModelInput, chance: random.Random) -> list[object]:
    """Make one seeded random item, flat or nested as `/infer` needs it."""
    flat = [_value(model_input.datatype, chance) for _ in range(model_input.elements)]
    return _folded(flat, model_input.sizes) if model_input.nested else flat


def _value(datatype: str, chance: random.Random) -> object:
    if datatype == "BOOL":
        return chance.random() < 0.5  # noqa: PLR2004 - a fair coin
    if datatype == "BYTES":
        return f"word-{chance.getrandbits(32):08x}"
    if datatype.startswith(("INT", "UINT")):
        # Small, so that they are valid as indices into almost any table.
        return chance.randrange(10)
    return round(chance.random(), 4)


def _folded(flat: list[object], sizes: tuple[int, ...]) -> list[object]:
    for size in reversed(sizes[1:]):
        flat = [flat[start : start + size] for start in range(0, len(flat), size)]
    return flat
