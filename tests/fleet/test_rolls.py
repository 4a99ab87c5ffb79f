"""A rolling restart over real processes that behave as badly as wanted."""

from __future__ import annotations

import os
import signal

from tests.fleet.test_supervisor import Fleet, Start, alive, start, up

__all__ = ["start"]


def ask(fleet: Fleet) -> Fleet:
    fleet.process.send_signal(signal.SIGHUP)
    return fleet


def ended_with(fleet: Fleet, reason: str) -> None:
    fleet.until(lambda: fleet.said("the restart has ended early"))
    (line,) = [line for line in fleet.lines if "the restart has ended early" in line]
    assert reason in line
    assert fleet.process.poll() is None


def test_a_hangup_without_a_terminal_renews_all_in_turn(start: Start) -> None:
    fleet = ask(up(start("good", "good", "good", gateways=2)))
    fleet.until(lambda: fleet.said("all were restarted"))
    told = [line.split("up: ")[1].strip() for line in fleet.lines if "up: " in line]
    assert told == [
        "restarting worker_1, worker_2, gateway_1, gateway_2",
        *[
            "worker_1 has drained",
            "worker_1 is ready again",
            "worker_2 has drained",
            "worker_2 is ready again",
        ],
        *["gateway_1 is ready again", "gateway_1 has drained"],
        *["gateway_2 is ready again", "gateway_2 has drained"],
        "all were restarted",
    ]
    for name in ("worker_1", "worker_2", "gateway_1", "gateway_2"):
        old, new = fleet.notes(name, "start")
        assert fleet.notes(name, "end") == [old]
        assert alive(new)
    assert fleet.stop() == 0, fleet.lines


def test_a_restart_is_no_part_of_a_crash_loop(start: Start) -> None:
    fleet = up(start("good", "good"))
    for count in range(1, 7):
        ask(fleet).until(lambda: sum("all were restarted" in line for line in fleet.lines) == count)  # noqa: B023
    assert len(fleet.notes("worker_1", "start")) == 7
    assert not fleet.said("given up")
    assert fleet.stop() == 0, fleet.lines


def test_a_second_request_meanwhile_is_refused(start: Start) -> None:
    fleet = ask(up(start("good", "deaf", "good", stop_s=2.0)))
    fleet.until(lambda: fleet.notes("worker_1", "asked") != [])
    ask(fleet).until(lambda: fleet.said("SIGHUP: a restart is already under way"))
    ended_with(fleet, "worker_1 did not end within 2 s and was killed")


def test_a_request_before_all_is_up_begins_then(start: Start) -> None:
    fleet = start("good", "slow to be ready", "good")
    fleet.until(lambda: fleet.notes("worker_1", "start") != [])
    ask(fleet).until(lambda: fleet.said("all were restarted"))
    assert fleet.lines.index("next\n") < next(
        number for number, line in enumerate(fleet.lines) if "restarting" in line
    )
    assert fleet.stop() == 0, fleet.lines


def test_a_stop_before_a_restart_could_begin_is_clean(start: Start) -> None:
    fleet = start("good", "slow to be ready", "good")
    fleet.until(lambda: fleet.notes("worker_1", "start") != [])
    assert ask(fleet).stop() == 0
    assert not fleet.said("restarting")


def test_a_worker_that_does_not_come_back_ends_it_and_the_rest_serves_on(start: Start) -> None:
    fleet = ask(up(start("good", "good", "crash second", "good")))
    ended_with(fleet, "the new worker_2 did not become ready: it was ended by SIGKILL")
    fleet.until(lambda: fleet.said("worker_2 was ended by SIGKILL; it is started again"))
    fleet.until(lambda: len(fleet.notes("worker_2", "ready")) == 2)
    assert [len(fleet.notes(name, "start")) for name in ("worker_3", "gateway")] == [1, 1]
    assert fleet.stop() == 0, fleet.lines


def test_a_gateway_whose_successor_does_not_come_up_serves_on(start: Start) -> None:
    fleet = ask(up(start("crash second", "good")))
    ended_with(fleet, "the new gateway did not become ready")
    first = fleet.notes("gateway", "start")[0]
    assert alive(first)
    assert fleet.notes("gateway", "asked") == []
    assert fleet.stop() == 0, fleet.lines
    assert fleet.notes("gateway", "end") == [first]


def test_a_successor_with_a_usage_error_says_why_and_the_only_gateway_serves_on(start: Start) -> None:
    fleet = ask(up(start("usage later", "good")))
    ended_with(fleet, "the new gateway did not become ready")
    assert fleet.said("gateway ended with status 2 and is given up: the model is no model")
    assert alive(fleet.notes("gateway", "start")[0])
    assert fleet.stop() == 0, fleet.lines


def test_a_worker_that_leaves_requests_behind_ends_it(start: Start) -> None:
    fleet = ask(up(start("good", "ends badly", "good")))
    ended_with(fleet, "worker_1 ended with status 7 while draining")
    fleet.until(lambda: len(fleet.notes("worker_1", "ready")) == 2)
    assert len(fleet.notes("worker_2", "start")) == 1


def test_a_worker_that_had_been_given_up_gets_another_chance(start: Start) -> None:
    fleet = up(start("good", "usage second", "good"))
    os.kill(fleet.notes("worker_1", "start")[0], signal.SIGKILL)
    fleet.until(lambda: fleet.said("worker_1 ended with status 2 and is given up"))
    ask(fleet).until(lambda: fleet.said("all were restarted"))
    assert len(fleet.notes("worker_1", "ready")) == 2
    assert fleet.stop() == 0, fleet.lines


def test_a_stop_in_the_middle_drains_everything(start: Start) -> None:
    fleet = ask(up(start("slow to be ready again", "good", gateways=2)))
    fleet.until(lambda: len(fleet.notes("gateway_1", "start")) == 2)
    assert fleet.stop() == 0, fleet.lines
    assert fleet.said("the restart has ended early: this fleet is being stopped")
    assert len(fleet.notes("gateway_1", "end")) == 2
    assert not any(alive(pid) for pid in fleet.pids())


def test_what_dies_in_the_middle_is_waited_for(start: Start) -> None:
    """Worker 2 is killed while worker 1 comes back: it is no second one that the restart takes away."""
    fleet = ask(up(start("good", "slow to be ready again", "good")))
    fleet.until(lambda: len(fleet.notes("worker_1", "start")) == 2)
    os.kill(fleet.notes("worker_2", "start")[0], signal.SIGKILL)
    fleet.until(lambda: fleet.said("all were restarted"))
    assert len(fleet.notes("worker_2", "ready")) == 3
    assert fleet.stop() == 0, fleet.lines
