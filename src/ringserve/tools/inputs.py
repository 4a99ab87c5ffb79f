"""The inputs a benchmark sends, ready to be put behind a request id."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count as counting

from ringserve.tools.served_model import ModelInput, random_item

DISTINCT = 360
"""How many random inputs a benchmark repeats: as many as there are digits images."""
_DIGITS_ELEMENTS = 64
_DUPLICATES_MAX = 1000


@dataclass(frozen=True, slots=True)
class InputSet:
    """Distinct inputs: each the rest of a request's body behind its id; `what` names them in the report."""

    bodies: tuple[bytes, ...]
    what: str


def repeated_inputs(model_input: ModelInput, images: Sequence[Sequence[float]], seed: int) -> InputSet:
    """Give the small set that the standard benchmark sends round and round.

    Args:
        model_input: What the model wants.
        images: The held-out digits images, sent when the model wants as many numbers as one has.
        seed: Makes random inputs repeatable.
    """
    if takes_digits(model_input):
        return InputSet(
            _bodies(images, len(images), model_input.model), f"{len(images)} held-out digits images, repeated"
        )
    inputs = _random_items(model_input, random.Random(seed))  # noqa: S311 - data, no secrets
    bodies = _bodies(inputs, DISTINCT, model_input.model)
    return InputSet(bodies, f"{len(bodies)} random inputs of {model_input.elements:,} values, repeated")


def fresh_inputs(
    model_input: ModelInput, images: Sequence[Sequence[float]], count: int, seed: int
) -> InputSet:
    """Give `count` distinct inputs that no cache has seen, for any but the same seed.

    Digits images are made new by dimming each a little, to a degree that the seed decides. A model with
    few possible inputs (one bool, say) gets as many as there are.
    """
    chance = random.Random(seed)  # noqa: S311 - data, no secrets
    if takes_digits(model_input):
        bodies = _bodies(_dimmed(images, chance), count, model_input.model)
        return InputSet(bodies, f"{count:,} digits images, each dimmed anew")
    bodies = _bodies(_random_items(model_input, chance), count, model_input.model)
    return InputSet(bodies, f"{len(bodies):,} random inputs of {model_input.elements:,} values")


def takes_digits(model_input: ModelInput) -> bool:
    """Whether the digits images fit the model."""
    fits = model_input.elements == _DIGITS_ELEMENTS and not model_input.nested
    return fits and model_input.datatype.startswith("FP")


def _bodies(
    items: Sequence[Sequence[object]] | Iterator[Sequence[object]], count: int, model: str
) -> tuple[bytes, ...]:
    """Encode the first `count` distinct items; fewer when they keep repeating themselves."""
    named = b'"model":%b,' % json.dumps(model).encode() if model else b""
    found: dict[bytes, None] = {}
    repeats = 0
    for item in items:
        body = named + b'"input_data":' + json.dumps(item, separators=(",", ":")).encode() + b"}"
        repeats = repeats + 1 if body in found else 0
        found[body] = None
        if len(found) >= count or repeats > _DUPLICATES_MAX:
            break
    return tuple(found)


def _random_items(model_input: ModelInput, chance: random.Random) -> Iterator[list[object]]:
    while True:
        yield random_item(model_input, chance)


def _dimmed(images: Sequence[Sequence[float]], chance: random.Random) -> Iterator[list[float]]:
    for index in counting():
        factor = chance.uniform(0.9, 1.0)
        yield [round(pixel * factor, 4) for pixel in images[index % len(images)]]
