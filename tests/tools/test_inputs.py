from __future__ import annotations

import json
import random

import pytest

from ringserve.models.digits import held_out
from ringserve.tools.inputs import DISTINCT, fresh_inputs, repeated_inputs
from ringserve.tools.served_model import DIGITS, FREE_DIMENSION, ModelInput, random_item

IMAGES = held_out()[0].tolist()


def values_of(body: bytes) -> list[object]:
    parsed = json.loads(b"{" + body)
    assert list(parsed) == ["input_data"]
    values = parsed["input_data"]
    assert isinstance(values, list)
    return values


def test_a_model_of_64_numbers_gets_the_held_out_images() -> None:
    assert DIGITS.input is not None
    found = repeated_inputs(DIGITS.input, IMAGES, seed=0)
    assert [values_of(body) for body in found.bodies] == IMAGES


def test_another_model_gets_as_many_random_inputs_and_the_same_for_the_same_seed() -> None:
    wants = ModelInput("x", "FP32", (3, 5))
    found = repeated_inputs(wants, IMAGES, seed=7)
    assert len(set(found.bodies)) == DISTINCT
    assert all(len(values_of(body)) == 15 for body in found.bodies)
    assert repeated_inputs(wants, IMAGES, seed=7) == found
    assert repeated_inputs(wants, IMAGES, seed=8) != found


@pytest.mark.parametrize("shape", [(64,), (4,)])
def test_a_model_among_several_is_named(shape: tuple[int, ...]) -> None:
    wants = ModelInput("x", "FP32", shape, "c/d")
    for found in (fresh_inputs(wants, IMAGES, 5, 1), repeated_inputs(wants, IMAGES, 1)):
        assert {json.loads(b"{" + body)["model"] for body in found.bodies} == {"c/d"}


@pytest.mark.parametrize("shape", [(64,), (4,)])
def test_fresh_inputs_are_distinct_and_new_for_each_seed(shape: tuple[int, ...]) -> None:
    wants = ModelInput("x", "FP32", shape)
    one, other = (fresh_inputs(wants, IMAGES, 1000, seed) for seed in (1, 2))
    assert len(set(one.bodies)) == 1000
    assert not set(one.bodies) & set(other.bodies)


def test_a_model_with_few_possible_inputs_gets_them_all() -> None:
    found = fresh_inputs(ModelInput("x", "BOOL", (2,)), IMAGES, 1000, seed=0)
    assert len(found.bodies) == 4


def test_two_open_dimensions_are_sent_nested_and_one_flat() -> None:
    chance = random.Random(0)
    nested = random_item(ModelInput("x", "INT64", (-1, 3, -1)), chance)
    assert len(nested) == FREE_DIMENSION
    assert all(isinstance(row, list) and len(row) == 3 for row in nested)
    flat = random_item(ModelInput("x", "UINT8", (-1, 3)), chance)
    assert len(flat) == 3 * FREE_DIMENSION
    assert all(isinstance(value, int) and 0 <= value < 10 for value in flat)
    assert all(isinstance(word, str) for word in random_item(ModelInput("x", "BYTES", (2,)), chance))
