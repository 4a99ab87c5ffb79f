from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringserve.core.signature import Signature, TensorLayout
from ringserve.core.signatures import check
from ringserve.core.symbols import check_symbols
from ringserve.core.tensor import Dim, DType, ModelSpec, TensorSpec
from ringserve.errors import BadRequest


def model(*shapes: tuple[Dim, ...]) -> ModelSpec:
    inputs = tuple(TensorSpec(f"x{place}", DType.FP32, shape) for place, shape in enumerate(shapes))
    return ModelSpec("m", "1", "d", inputs, (), False, 1, True, "cpu")


def request(*shapes: tuple[int, ...]) -> Signature:
    layouts = [TensorLayout(f"x{place}", DType.FP32, shape) for place, shape in enumerate(shapes)]
    return Signature("m", "", tuple(layouts))


@pytest.mark.parametrize(
    ("spec", "wrong", "sentence"),
    [
        (
            model(("N", "seq"), ("N", "seq")),
            request((1, 5), (1, 7)),
            r"model m takes x0 \[N, seq\], x1 \[N, seq\]: 'seq' must be one size, got 5 in x0 and 7 in x1",
        ),
        (model(("N", 2), (2, "N")), request((1, 2), (2, 3)), "'N' must be one size, got 1 in x0 and 3 in x1"),
        (model((1, "s", "s")), request((1, 2, 3)), "'s' must be one size, got 2 in x0 and 3 in x0"),
    ],
)
def test_dimensions_of_one_symbol_must_agree(spec: ModelSpec, wrong: Signature, sentence: str) -> None:
    with pytest.raises(BadRequest, match=sentence):
        check(spec, wrong)


def test_what_has_no_name_or_another_one_is_free() -> None:
    check(model((None, "a", 3), (None, "b")), request((1, 2, 3), (4, 5)))


sizes = st.dictionaries(st.sampled_from("abc"), st.integers(0, 3), min_size=3)
shapes = st.lists(st.lists(st.sampled_from("abc"), max_size=4), max_size=4)


@given(shapes, sizes, st.data())
def test_just_the_requests_whose_symbols_have_one_size_pass(
    symbols: list[list[str]], named: dict[str, int], data: st.DataObject
) -> None:
    spec = model(*(tuple(own) for own in symbols))
    asked = [tuple(named[symbol] for symbol in own) for own in symbols]
    check_symbols(spec, request(*asked))
    places = [(tensor, axis) for tensor, own in enumerate(symbols) for axis in range(len(own))]
    if not places:
        return
    tensor, axis = data.draw(st.sampled_from(places))
    asked[tensor] = (*asked[tensor][:axis], asked[tensor][axis] + 1, *asked[tensor][axis + 1 :])
    symbol = symbols[tensor][axis]
    if sum(own.count(symbol) for own in symbols) == 1:
        check_symbols(spec, request(*asked))
    else:
        with pytest.raises(BadRequest, match=f"'{symbol}' must be one size"):
            check_symbols(spec, request(*asked))
