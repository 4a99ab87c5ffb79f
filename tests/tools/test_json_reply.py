from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ringserve.tools.http_caller import Reply
from ringserve.tools.json_reply import number_at, object_in, objects_at, sentence_of, text_at


@given(st.binary(max_size=600))
def test_any_body_has_a_short_printable_sentence(body: bytes) -> None:
    sentence = sentence_of(Reply(500, body))
    assert len(sentence) <= 160
    assert sentence.isprintable()


def test_an_error_is_cut_after_its_first_sentence() -> None:
    assert (
        sentence_of(Reply(503, b'{"error": "no worker can take it. Try\\nlater."}'))
        == "no worker can take it."
    )
    assert sentence_of(Reply(400, b'{"error": "1.5 is no integer"}')) == "1.5 is no integer"


def test_what_has_another_type_reads_as_nothing() -> None:
    odd: dict[str, object] = {"text": 1, "number": True, "list": {}, "mixed": [1, {"a": 1}]}
    assert text_at(odd, "text") == ""
    assert number_at(odd, "number") == 0
    assert objects_at(odd, "list") == []
    assert objects_at(odd, "mixed") == [{"a": 1}]
    assert object_in(Reply(200, b"[1]")) is None
    assert object_in(Reply(200, b"[" * 100_000)) is None
