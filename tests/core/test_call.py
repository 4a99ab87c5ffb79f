from __future__ import annotations

import pytest

from ringserve.core.call import Call
from ringserve.core.signature import Key, Result, ResultLayout, Signature
from ringserve.errors import NoWorker


def test_a_bare_call_has_no_caller_to_answer() -> None:
    call = Call(Key(b"k" * 16), Signature("m", "", ()), b"", 0.0, 1.0)
    with pytest.raises(NotImplementedError):
        call.answer(Result(ResultLayout(()), b""), "w", False, 0)
    with pytest.raises(NotImplementedError):
        call.fail(NoWorker("none"))
