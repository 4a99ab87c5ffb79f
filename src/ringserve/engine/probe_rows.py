"""Made-up inputs for a model nobody has described: item sizes, value ranges, and rows of any magnitude.

A row is a function of its number, the sizes and the recipe alone, so that the same row can be made
again, together with others or by itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, product

import numpy as np

from ringserve.core.tensor import DType, TensorSpec
from ringserve.engine.arrays import Array, array_type, narrow_to_bfloat16
from ringserve.engine.categories import Categories, Category

Dimension = str | tuple[str, int]
"""An open dimension: its symbol, or input and axis where it has no name."""

Sizes = Mapping[Dimension, int]

# Not 1, 2 or 3, which are numbers of rows as well; then what convolutions, images and sound need.
_UNIFORM = (5, 8, 16, 32, 64, 7, 128, 224, 256, 1, 512, 2_000, 16_000)
# For models that want one size here and another there, such as channels beside width.
_MIXED = (1, 3, 4, 8, 32, 224)
_MIXED_DIMENSIONS_MAX = 4
_ELEMENTS_MAX = 2**20
_WIDER = (9, 99, 999, 30_000)

_MAGNITUDES = (1.0, 1e3, 1e-2, 30.0, 0.1, 300.0, 3.0, 1e-3)
_GENTLE = (1.0, 0.1, 0.5)

_NUMBERS = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "25", "100", "2.5", "0.5", "-1")
_TEXTS = (
    "a",
    "b",
    "the cat",
    "A dog sat.",
    "yes",
    "no",
    "hello world",
    "x1",
    "2024-05-06",
    "long words follow",
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How numbers are drawn.

    Attributes:
        signed: Whether fractions are drawn around zero, or from 0 to 1.
        magnitudes: What a row's fractions are multiplied with, in turn.
        low: The smallest whole number.
        high: The largest whole number of each input; in every third row only.
        all_true: Whether booleans are all true (a mask that hides everything is no good probe).
        texts: Strings to draw from.
        categories: For each input the columns whose values are known, and those values.
    """

    signed: bool
    magnitudes: tuple[float, ...]
    low: int
    high: tuple[int, ...]
    all_true: bool = False
    texts: tuple[str, ...] = _NUMBERS
    categories: tuple[tuple[tuple[int | None, tuple[Category, ...]], ...], ...] = ()


def recipes(
    inputs: Sequence[TensorSpec], words: tuple[str, ...] = (), categories: Categories | None = None
) -> Iterator[Recipe]:
    """Yield ways to draw inputs, the most telling first.

    Args:
        inputs: The model's.
        words: Strings that stand in the model itself: it may refuse any other.
        categories: What columns of inputs may hold: it may refuse anything else.
    """
    numbers = list(_recipes_of_numbers(inputs))
    if categories:
        known = tuple(categories.get(spec.name, ()) for spec in inputs)
        yield from (replace(recipe, texts=words or _NUMBERS, categories=known) for recipe in numbers)
    if not any(spec.dtype is DType.BYTES for spec in inputs):
        yield from numbers
        return
    pools = [pool for pool in (words, _NUMBERS, _TEXTS) if pool]
    yield from (replace(recipe, texts=pool) for recipe in numbers for pool in pools)


def _recipes_of_numbers(inputs: Sequence[TensorSpec]) -> Iterator[Recipe]:
    small = tuple(1 for _ in inputs)
    yield Recipe(signed=True, magnitudes=_MAGNITUDES, low=0, high=small)
    yield Recipe(signed=False, magnitudes=_MAGNITUDES, low=0, high=small)
    yield Recipe(signed=False, magnitudes=_GENTLE, low=0, high=small)
    # Lengths and divisors refuse 0; embeddings of one entry refuse 1.
    yield Recipe(signed=False, magnitudes=_GENTLE, low=1, high=tuple(2 for _ in inputs), all_true=True)
    yield Recipe(signed=False, magnitudes=_GENTLE, low=1, high=small, all_true=True)
    yield Recipe(signed=False, magnitudes=_GENTLE, low=0, high=tuple(0 for _ in inputs), all_true=True)


def widen(recipe: Recipe, index: int, spec: TensorSpec) -> Iterator[Recipe]:
    """Yield recipes with larger and larger whole numbers for one input, as far as its type holds them."""
    dtype = spec.dtype.numpy
    if not spec.dtype.is_integer or dtype is None:
        return
    limit = int(np.iinfo(dtype.name).max)
    wider = [high for high in _WIDER if recipe.high[index] < high < limit]
    for high in [*wider, limit] if limit <= 255 else wider:  # noqa: PLR2004 - bytes are pixels: all of them
        yield replace(recipe, high=(*recipe.high[:index], high, *recipe.high[index + 1 :]))


def open_dimensions(inputs: Sequence[TensorSpec]) -> list[Dimension]:
    """List the open dimensions of one item, each once; a sum of others (`past + 1`) follows from them."""
    found: dict[Dimension, None] = {}
    for spec in inputs:
        for axis, dim in _item_axes(spec):
            if not isinstance(dim, int):
                found[_dimension(spec, axis, dim)] = None
    return [dimension for dimension in found if not _is_sum(dimension, found)]


def candidate_sizes(inputs: Sequence[TensorSpec]) -> Iterator[Sizes]:
    """Yield sizes of the open dimensions to try: one for all first, then mixtures."""
    dimensions = open_dimensions(inputs)
    if not dimensions:
        yield {}
        return
    uniform = (dict.fromkeys(dimensions, size) for size in _UNIFORM)
    yield from (sizes for sizes in chain(uniform, _mixtures(dimensions)) if _fits(inputs, sizes))


def other_sizes(inputs: Sequence[TensorSpec], sizes: Sizes) -> Iterator[Sizes]:
    """Yield sizes to try beside these: other ones everywhere, then in one dimension, then mixtures."""
    uniform = (dict.fromkeys(sizes, size) for size in _UNIFORM if size not in sizes.values())
    single = (
        {**sizes, dimension: size}
        for dimension in sizes
        for size in sorted({*_UNIFORM, *_MIXED})
        if size != sizes[dimension]
    )
    yield from (other for other in chain(uniform, single, _mixtures(list(sizes))) if _fits(inputs, other))


def item_shape(spec: TensorSpec, sizes: Sizes) -> list[int]:
    """The shape of one item of an input, without the batch axis, at these sizes."""
    return [
        dim if isinstance(dim, int) else _size(_dimension(spec, axis, dim), sizes)
        for axis, dim in _item_axes(spec)
    ]


def make_row(inputs: Sequence[TensorSpec], sizes: Sizes, recipe: Recipe, number: int) -> dict[str, Array]:
    """Make one item: for each input an array of the item's shape, with a first axis of 1 where it has one."""
    row: dict[str, Array] = {}
    for index, spec in enumerate(inputs):
        shape = [1] * spec.has_batch_axis + item_shape(spec, sizes)
        generator = np.random.default_rng([number, index])
        if spec.dtype.is_float:
            drawn = _draw_fractions(generator, shape, recipe, number)
        elif spec.dtype.is_integer:
            drawn = _draw_integers(generator, shape, recipe.low, recipe.high[index], number)
        elif spec.dtype is DType.BYTES:
            places = generator.integers(0, len(recipe.texts), math.prod(shape))
            drawn = np.array(recipe.texts, object)[places].reshape(shape)
        else:
            drawn = generator.random(shape) < (2.0 if recipe.all_true else 0.5)
        if recipe.categories:
            _draw_categories(generator, drawn, recipe.categories[index])
        bfloat = spec.dtype is DType.BF16
        row[spec.name] = narrow_to_bfloat16(drawn) if bfloat else drawn.astype(array_type(spec.dtype))
    return row


def stack_rows(rows: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """Join items along their first axis."""
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def nudge(row: Mapping[str, Array], generator: np.random.Generator) -> dict[str, Array]:
    """Move every fraction one unit in its last place, up or down: what rounding does to any of them."""
    moved: dict[str, Array] = dict(row)
    for name, array in row.items():
        if array.dtype.kind == "f":
            towards = np.where(generator.integers(0, 2, array.shape) == 0, -np.inf, np.inf)
            moved[name] = np.nextafter(array, towards.astype(array.dtype))
    return moved


def _draw_categories(
    generator: np.random.Generator,
    drawn: Array,
    categories: Sequence[tuple[int | None, tuple[Category, ...]]],
) -> None:
    """Put values that are known into their columns: strings where the input holds such, else numbers."""
    kind = str if drawn.dtype.kind == "O" else int
    for column, values in categories:
        fitting = np.array([value for value in values if isinstance(value, kind)], drawn.dtype)
        where = (...,) if column is None else (..., slice(column, column + 1))
        if fitting.size and drawn.ndim:
            drawn[where] = fitting[generator.integers(0, fitting.size, drawn[where].shape)]


def _draw_fractions(generator: np.random.Generator, shape: list[int], recipe: Recipe, number: int) -> Array:
    magnitude = recipe.magnitudes[number % len(recipe.magnitudes)]
    drawn = generator.standard_normal(shape) if recipe.signed else generator.random(shape)
    return np.asarray(drawn * magnitude)


def _draw_integers(
    generator: np.random.Generator, shape: list[int], low: int, high: int, number: int
) -> Array:
    """Whole numbers of very different magnitude too: the full range, a narrow one, one between, in turn."""
    span = high - low
    top = low + (span, min(span, 1), round(span**0.5))[number % 3]
    numbers = generator.integers(low, top, shape, endpoint=True)
    if numbers.size:
        # The largest number is always there, so that a range counts as accepted only if its end is.
        numbers.flat[generator.integers(numbers.size)] = top
    return numbers


def _fits(inputs: Sequence[TensorSpec], sizes: Sizes) -> bool:
    """Whether one item stays small enough to try: 256 in each of four dimensions would not."""
    return all(math.prod(item_shape(spec, sizes)) <= _ELEMENTS_MAX for spec in inputs)


def _mixtures(dimensions: Sequence[Dimension]) -> Iterator[Sizes]:
    if 1 < len(dimensions) <= _MIXED_DIMENSIONS_MAX:
        for mixture in product(_MIXED, repeat=len(dimensions)):
            yield dict(zip(dimensions, mixture, strict=True))


def _terms(dimension: Dimension) -> list[str]:
    """What is added up in a symbol; exporters of decoders write the length of a mask so."""
    return [term.strip() for term in dimension.split("+")] if isinstance(dimension, str) else []


def _is_sum(dimension: Dimension, known: Mapping[Dimension, object]) -> bool:
    terms = _terms(dimension)
    return len(terms) > 1 and all(term.isdecimal() or term in known for term in terms)


def _size(dimension: Dimension, sizes: Sizes) -> int:
    if dimension in sizes:
        return sizes[dimension]
    return sum(int(term) if term.isdecimal() else sizes[term] for term in _terms(dimension))


def _item_axes(spec: TensorSpec) -> list[tuple[int, int | str | None]]:
    start = 1 if spec.has_batch_axis else 0
    return [(axis, dim) for axis, dim in enumerate(spec.shape) if axis >= start]


def _dimension(spec: TensorSpec, axis: int, dim: str | None) -> Dimension:
    return (spec.name, axis) if dim is None else dim
