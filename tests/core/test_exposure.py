from dataclasses import fields, replace

import pytest

from ringserve.core.exposure import Doors, warning_of

CLOSED = Doors(tls=True, callers_known=True, links=True, gateways_known=True)


def test_nothing_is_said_where_every_door_is_kept() -> None:
    assert warning_of(CLOSED, "0.0.0.0") is None
    assert warning_of(replace(CLOSED, links=False, gateways_known=False), "0.0.0.0") is None


@pytest.mark.parametrize(
    ("open_", "flag"),
    [("tls", "--tls-cert"), ("callers_known", "--api-keys"), ("gateways_known", "--fleet-secret")],
)
def test_what_is_open_is_named_with_the_flag_that_closes_it(open_: str, flag: str) -> None:
    said = warning_of(replace(CLOSED, **{open_: False}), "10.0.0.5")
    assert said is not None
    assert "10.0.0.5" in said
    assert [other for other in ("--tls-cert", "--api-keys", "--fleet-secret") if other in said] == [flag]


def test_all_that_is_open_is_one_line() -> None:
    said = warning_of(Doors(**{door.name: door.name == "links" for door in fields(Doors)}), "::")
    assert said is not None
    assert "\n" not in said
    assert said.count("without") == 3
