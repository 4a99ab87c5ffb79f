from __future__ import annotations

from ringserve.core.call import Call
from ringserve.core.single_flight import Flight, SingleFlight, SingleFlightStatistics, expired, leave
from tests.core.calls import noted


def test_equal_requests_join_the_flight_that_is_open() -> None:
    flights = SingleFlight()
    first, second = noted(1), noted(1)
    assert not flights.try_join(second)
    flight = Flight(first, 0.0)
    flights.open(flight)
    assert flights.try_join(second)
    assert list(flight.calls) == [first, second]
    assert (len(flights), flights.joins) == (1, 1)


def test_a_leader_who_leaves_does_not_hurt_its_joiners() -> None:
    flights = SingleFlight()
    first, second = noted(1), noted(1)
    flight = Flight(first, 0.0)
    flights.open(flight)
    flights.try_join(second)
    assert leave(first) is None
    assert leave(first) is None
    assert list(flight.calls) == [second]
    assert leave(second) is flight


def test_closing_a_flight_never_closes_another_of_its_key() -> None:
    flights = SingleFlight()
    old, new = Flight(noted(1), 0.0), Flight(noted(1), 1.0)
    flights.open(new)
    flights.close(old)
    assert len(flights) == 1
    flights.close(new)
    assert len(flights) == 0


def test_expired_calls_are_found_in_every_flight() -> None:
    late, early = noted(1, deadline=1.0), noted(2, deadline=5.0)
    assert expired([Flight(late, 0.0), Flight(early, 0.0)], 1.0) == [late]


def test_its_statistics_count_flights_and_joins() -> None:
    flights = SingleFlight()
    flights.open(Flight(noted(1), 0.0))
    flights.try_join(noted(1))
    flights.try_join(noted(2))
    assert flights.statistics() == SingleFlightStatistics(joinable=1, joins=1)


def test_a_crowd_that_leaves_in_any_order_costs_as_many_steps_as_it_has_members() -> None:
    """Counted by what is compared, not by the clock: to search a list compares with each member before."""

    class Counting(Call):
        compared = 0

        def __eq__(self, other: object) -> bool:
            Counting.compared += 1
            return self is other

        __hash__ = Call.__hash__

    first = noted(1)
    calls = [Counting(first.key, first.signature, b"", 0.0, 1.0) for _ in range(300)]
    flights = SingleFlight()
    flights.open(Flight(calls[0], 0.0))
    for call in calls[1:]:
        assert flights.try_join(call)
    for call in reversed(calls):
        leave(call)
    assert Counting.compared < 1000
