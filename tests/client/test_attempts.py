from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringserve.client.attempts import PAUSE_FIRST_S, PAUSE_MAX_S, Attempts
from ringserve.client.errors import BadAnswer, ClientError, ConnectionFailed, DeadlineExceeded, error_of

UNREACHED = ConnectionFailed("refused")
LOST = ConnectionFailed("reset", sent=True)
CUT = ConnectionFailed("cut", sent=True, answering=True)


def attempts(retries: int = 2, deadline: float = 1000.0, *, repeatable: bool = True) -> Attempts:
    return Attempts(retries, deadline, lambda: 1.0, repeatable=repeatable)


@pytest.mark.parametrize("error", [UNREACHED, LOST, error_of(429, "", None), error_of(503, "", None)])
def test_what_is_safe_is_tried_again_after_growing_pauses_and_so_often(error: ClientError) -> None:
    some = attempts(3)
    pauses = [some.pause_after(error, 0.0, kept=False) for _ in range(3)]
    assert pauses == [PAUSE_FIRST_S, 2 * PAUSE_FIRST_S, 4 * PAUSE_FIRST_S]
    with pytest.raises(type(error)) as caught:
        some.pause_after(error, 0.0, kept=False)
    assert caught.value is error


FINAL = [
    CUT,
    BadAnswer(""),
    DeadlineExceeded(""),
    *(error_of(n, "", 1.0) for n in (400, 401, 404, 413, 500, 504)),
]


@pytest.mark.parametrize("error", FINAL)
def test_what_came_of_the_request_itself_is_final(error: ClientError) -> None:
    with pytest.raises(type(error)):
        attempts().pause_after(error, 0.0, kept=True)


def test_the_server_says_when_to_come_again_unless_that_is_too_late() -> None:
    assert attempts().pause_after(error_of(429, "", 3.0), 0.0, kept=False) == 3.0
    with pytest.raises(ClientError):
        attempts(deadline=3.0).pause_after(error_of(429, "", 3.0), 0.0, kept=False)


def test_a_kept_connection_that_was_closed_is_replaced_once_without_counting() -> None:
    some = attempts(0)
    told = [some.fresh, some.pause_after(LOST, 0.0, kept=True), some.fresh]
    assert told == [False, 0.0, True]
    with pytest.raises(ConnectionFailed):
        some.pause_after(LOST, 0.0, kept=True)
    idle = error_of(408, "", None)
    assert attempts(0).pause_after(idle, 0.0, kept=True) == 0.0
    with pytest.raises(ClientError):
        attempts().pause_after(idle, 0.0, kept=False)


def test_what_may_happen_once_only_is_sent_again_only_where_it_cannot_have_arrived() -> None:
    some = attempts(repeatable=False)
    assert some.fresh
    assert some.pause_after(UNREACHED, 0.0, kept=False) > 0
    with pytest.raises(ConnectionFailed):
        some.pause_after(LOST, 0.0, kept=False)


@given(st.integers(0, 50), st.floats(0, 1), st.floats(0, 100))
def test_pauses_are_bounded_and_end_before_the_deadline(retries: int, chance: float, now: float) -> None:
    some = Attempts(retries, 100.0, lambda: chance, repeatable=True)
    made = 0
    while True:
        try:
            pause_s = some.pause_after(LOST, now, kept=False)
        except ConnectionFailed:
            break
        made += 1
        assert 0 < pause_s <= PAUSE_MAX_S
        now += pause_s
        assert now < 100.0
    assert made <= retries
