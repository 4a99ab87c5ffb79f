from __future__ import annotations

from ringserve.errors import BadRequest, TooLarge
from ringserve.wire.oip_refusal import told_of
from tests.wire.oip_bodies import ONE


def test_a_sentence_names_the_model_once() -> None:
    told = told_of(ONE, TooLarge("input x is too large", 2.0))
    assert (type(told), told.message, told.retry_after_s) == (TooLarge, "model m: input x is too large", 2.0)
    named = BadRequest("model m takes the inputs ['x']")
    assert told_of(ONE, named) is named
