"""Two proven deaths condemn a request; a cut link never does."""

import pytest

from ringserve.core.breaker import Breaker
from ringserve.core.router.failover import Verdict, has_died, judge
from ringserve.core.router.worker_state import WorkerState
from tests.core.router.rig import Caller, hello


def worker(index: int, fate: str) -> WorkerState:
    state = WorkerState(index, f"w{index}", Breaker(5, 2, 30.0))
    state.greet(hello("second" if fate == "reborn" else "first"), 0.0)
    state.link_up = fate in {"alive", "reborn"}
    state.gone = fate == "gone"
    return state


@pytest.mark.parametrize(
    ("fate", "died"), [("alive", False), ("reborn", True), ("gone", True), ("unknown", None)]
)
def test_only_a_refusal_or_another_process_proves_a_death(fate: str, died: bool | None) -> None:
    assert has_died(worker(0, fate), "first") is died


@pytest.mark.parametrize(
    ("fates", "patience", "verdict"),
    [
        (["gone"], True, Verdict.MOVE),
        (["gone", "reborn"], True, Verdict.CONDEMN),
        (["gone", "unknown"], True, Verdict.HOLD),
        (["unknown", "unknown"], True, Verdict.HOLD),
        (["unknown", "unknown"], False, Verdict.CONDEMN),
        (["gone", "alive"], True, Verdict.MOVE),
        (["alive", "unknown"], False, Verdict.MOVE),
        (["gone", "alive", "gone"], True, Verdict.CONDEMN),
    ],
)
def test_the_verdict_follows_from_what_is_known(fates: list[str], patience: bool, verdict: Verdict) -> None:
    call = Caller(1, 1, 0.0, 1.0)
    call.suspects = tuple((index, "first") for index in range(len(fates)))
    workers = [worker(index, fate) for index, fate in enumerate(fates)]
    assert judge(call, workers, patience=patience) is verdict
