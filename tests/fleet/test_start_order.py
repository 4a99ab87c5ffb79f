import pytest

from ringserve.fleet.restart_policy import Phase, RestartPolicy
from ringserve.fleet.start_order import STRAGGLER_WAIT_S, StartOrder, settled


def workers(count: int) -> list[RestartPolicy]:
    made = [RestartPolicy(0.0) for _ in range(count)]
    for worker in made:
        worker.started(0.0)
    return made


def test_the_gateway_waits_until_every_worker_has_bound_its_port() -> None:
    order, fleet = StartOrder(), workers(3)
    for worker in fleet:
        order.look(fleet, 1.0)
        assert not order.gateways_may_start
        worker.beat("starting", False, 1.0)
    order.look(fleet, 1.0)
    assert order.gateways_may_start
    assert order.next_wake() is None


def test_a_worker_that_died_is_not_waited_for() -> None:
    order, fleet = StartOrder(), workers(2)
    fleet[0].beat("starting", False, 1.0)
    fleet[1].died(1.0, usage_error=False)
    order.look(fleet, 1.0)
    assert order.gateways_may_start


def test_a_straggler_is_waited_for_only_so_long() -> None:
    order, fleet = StartOrder(), workers(2)
    fleet[0].beat("ready", True, 5.0)
    order.look(fleet, 5.0)
    assert not order.gateways_may_start
    assert order.next_wake() == 5.0 + STRAGGLER_WAIT_S
    order.look(fleet, 5.0 + STRAGGLER_WAIT_S)
    assert order.gateways_may_start


def test_without_a_living_worker_there_is_nothing_to_route_to() -> None:
    order, fleet = StartOrder(), workers(2)
    for worker in fleet:
        worker.died(1.0, usage_error=False)
    order.look(fleet, 1e6)
    assert not order.gateways_may_start
    assert order.next_wake() is None


def test_once_it_may_start_it_may_stay() -> None:
    order, fleet = StartOrder(), workers(1)
    fleet[0].beat("ready", True, 1.0)
    order.look(fleet, 1.0)
    fleet[0].died(2.0, usage_error=False)
    order.look(fleet, 2.0)
    assert order.gateways_may_start


@pytest.mark.parametrize("fate", ["ready", "died", "given up", "died and started again"])
def test_a_fleet_is_settled_when_each_child_has_come_up_or_failed(fate: str) -> None:
    (child,) = workers(1)
    assert not settled([child])
    child.beat("starting", False, 0.5)
    assert not settled([child])
    if fate == "ready":
        child.beat("ready", True, 1.0)
    else:
        child.died(1.0, usage_error=fate == "given up")
    if fate == "died and started again":
        child.started(2.0)
        assert child.phase is Phase.STARTING
    assert settled([child])


def test_a_child_that_was_not_started_is_not_settled() -> None:
    assert not settled([RestartPolicy(0.0)])
