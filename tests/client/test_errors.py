from __future__ import annotations

import pickle

import pytest

import ringserve
from ringserve.client.errors import error_of

STATUSES = [
    (400, ringserve.BadInput),
    (401, ringserve.Unauthorized),
    (403, ringserve.Unauthorized),
    (404, ringserve.NotFound),
    (405, ringserve.RequestRefused),
    (413, ringserve.BadInput),
    (429, ringserve.Overloaded),
    (500, ringserve.ModelFailed),
    (503, ringserve.Unavailable),
    (504, ringserve.DeadlineExceeded),
]


@pytest.mark.parametrize(("status", "kind"), STATUSES)
def test_each_status_has_its_error(status: int, kind: type[ringserve.ClientError]) -> None:
    error = error_of(status, "one sentence", 2.5)
    assert type(error) is kind
    assert str(error) == "one sentence"
    if isinstance(error, ringserve.RequestRefused):
        assert (error.status, error.retry_after_s) == (status, 2.5)


def test_errors_travel_between_processes() -> None:
    for error in (error_of(429, "full", 1.0), error_of(504, "late", None), ringserve.BadAnswer("what")):
        again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
        assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_the_front_door_hands_out_every_name_that_it_lists_and_no_other() -> None:
    for name in ringserve.__all__:
        assert getattr(ringserve, name).__name__ == name
        assert name in dir(ringserve)
    with pytest.raises(AttributeError, match="no attribute 'Server'"):
        _ = ringserve.Server  # type: ignore[attr-defined]
