"""What a router's statistics say of it."""

import pytest

from ringserve.core.breaker import BreakerState
from ringserve.core.router.settings import RouterSettings
from ringserve.errors import BadRequest
from tests.core.router.rig import Rig, hello, spec


def links(rig: Rig) -> list[str]:
    return [worker.link for worker in rig.router.statistics(rig.now).workers]


def test_every_accepted_call_is_answered_failed_cancelled_or_pending() -> None:
    rig = Rig()
    answered, failed, left, _pending = [rig.submit_new() for _ in range(4)]
    rig.now += 0.5
    rig.finish(answered)
    rig.refuse(failed, BadRequest("no"))
    rig.router.cancel(left, rig.now)
    seen = rig.router.statistics(rig.now)
    assert (seen.accepted, seen.answered, seen.failed, seen.cancelled, seen.pending) == (4, 1, 1, 1, 1)
    assert (seen.latency.count, seen.latency.sum, seen.keys) == (1, 0.5, 1)
    assert seen.budget.requests == 4
    assert seen.failures["BadRequest"] == seen.failed


def test_a_workers_row_shows_its_use_beside_what_it_granted() -> None:
    rig = Rig(2)
    rig.submit_new(home=1, rows=3)
    rig.router.depth(1, 7)
    rig.now += 0.25
    idle, busy = rig.router.statistics(rig.now).workers
    assert (busy.address, busy.in_flight, busy.requests) == ("10.0.0.1:8001", 1, 1)
    assert (busy.items_out, busy.bytes_out, busy.depth, busy.load) == (3, 12, 7, 7)
    assert (busy.credit_items, busy.credit_bytes, busy.silence_s) == (1000, 1 << 20, 0.25)
    assert (idle.in_flight, idle.items_out, idle.spilled) == (0, 0, 0)
    assert idle.share + busy.share == pytest.approx(1.0)
    assert busy.breaker.state is BreakerState.CLOSED


def test_a_link_has_one_state() -> None:
    rig = Rig(6, up=False)
    assert links(rig) == ["down"] * 6
    assert rig.router.statistics(rig.now).workers[0].credit_items == 0
    for index in range(1, 6):
        rig.up(index, hello(model=spec("other")) if index == 4 else None)
    rig.router.going_away(2, rig.now)
    rig.router.pong(3, 100.0, 0.0, 0, rig.now)
    assert links(rig) == ["down", "up", "going_away", "hung", "other_model", "up"]


def test_each_model_is_shown_with_the_workers_that_have_it() -> None:
    rig = Rig(3, up=False)
    rig.up(0, hello(models=(spec(), spec("a", name="a"))))
    rig.up(1, hello(models=(spec(), spec("b", name="a"))))
    rig.submit_new()
    rig.lose(1)
    rows = {(one.name, one.digest): one for one in rig.router.statistics(rig.now).models}
    toy = rows["toy", "model"]
    assert (toy.workers, toy.able, toy.keys) == (("10.0.0.0:8001", "10.0.0.1:8001"), 1, 1)
    assert (toy.taken, toy.default, toy.version) == (True, True, "1")
    assert [rows["a", digest].taken for digest in "ab"] == [True, False]


def test_what_waits_for_a_trial_stands_beside_its_limit() -> None:
    rig = Rig(1, RouterSettings(parked_max=5))
    rig.open_breaker(0)
    rig.now += 31.0
    trial, _waiting = rig.submit_new(), rig.submit_new()
    seen = rig.router.statistics(rig.now)
    assert (seen.parked, seen.parked_max, seen.held, seen.pending) == (1, 5, 0, 2)
    rig.finish(trial)
    assert rig.router.statistics(rig.now).parked == 0
