"""The order of a stop, against any way in which children may end."""

from hypothesis import given
from hypothesis import strategies as st

from ringserve.fleet.stop_order import Step, StopOrder


def look(order: StopOrder, now: float, gateway: bool, workers: bool) -> list[Step]:
    return order.look(now, gateways_alive=gateway, workers_alive=workers)


def test_the_gateways_drain_before_the_workers() -> None:
    order = StopOrder(10.0, 5.0)
    assert order.next_wake() is None
    assert look(order, 0.0, True, True) == [Step.TERMINATE_GATEWAYS]
    assert look(order, 9.0, True, True) == []
    assert look(order, 9.0, False, True) == [Step.TERMINATE_WORKERS]
    assert order.next_wake() == 14.0
    assert look(order, 13.0, False, True) == []
    assert look(order, 13.0, False, False) == [Step.DONE]


def test_what_outstays_its_limit_is_killed_once() -> None:
    order = StopOrder(10.0, 5.0)
    look(order, 0.0, True, True)
    assert look(order, 10.0, True, True) == [Step.KILL_GATEWAYS]
    assert look(order, 11.0, True, True) == []
    assert look(order, 11.0, False, True) == [Step.TERMINATE_WORKERS]
    assert look(order, 16.0, False, True) == [Step.KILL_WORKERS]
    assert order.next_wake() is None


def test_without_a_gateway_the_workers_drain_at_once() -> None:
    order = StopOrder(10.0, 5.0)
    assert look(order, 0.0, False, True) == [Step.TERMINATE_WORKERS]


def test_a_second_request_kills_everything() -> None:
    order = StopOrder(10.0, 5.0)
    look(order, 0.0, True, True)
    order.kill_all()
    assert look(order, 1.0, True, True) == [Step.KILL_GATEWAYS, Step.KILL_WORKERS]
    assert look(order, 1.0, False, True) == []
    assert look(order, 1.0, False, False) == [Step.DONE]


def test_nothing_alive_is_done() -> None:
    assert look(StopOrder(1.0, 1.0), 0.0, False, False) == [Step.DONE]


@given(
    lives=st.tuples(st.floats(0, 50), st.floats(0, 50)),
    deaf=st.tuples(st.booleans(), st.booleans()),
    limits=st.tuples(st.floats(0.1, 20), st.floats(0.1, 20)),
    again_at=st.none() | st.floats(0, 50),
)
def test_any_stop_ends_within_its_limits_and_in_order(
    lives: tuple[float, float],
    deaf: tuple[bool, bool],
    limits: tuple[float, float],
    again_at: float | None,
) -> None:
    """Children that take their time or ignore the request; a shell that wakes when told to."""
    order = StopOrder(*limits)
    now, ends, steps = 0.0, [float("inf"), float("inf")], list[Step]()
    while Step.DONE not in steps:
        if again_at is not None and now >= again_at:
            order.kill_all()
            again_at = None
        gateway, workers = now < ends[0], now < ends[1]
        new = look(order, now, gateway, workers)
        steps += new
        for step in new:
            if step is Step.TERMINATE_GATEWAYS and not deaf[0]:
                ends[0] = now + lives[0]
            if step is Step.TERMINATE_WORKERS and not deaf[1]:
                ends[1] = min(ends[1], now + lives[1])
            if step is Step.TERMINATE_WORKERS:
                assert now >= ends[0]
            if step is Step.KILL_GATEWAYS:
                ends[0] = min(ends[0], now)
            if step is Step.KILL_WORKERS:
                ends[1] = min(ends[1], now)
        if not new:
            moments = [*ends, order.next_wake(), again_at]
            now = min(at for at in moments if at is not None and at > now)
    assert now <= sum(limits) + 1e-6
