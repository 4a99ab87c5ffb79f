"""What is asked of all workers: done when all have answered, and failed with the name of who could not."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from ringserve.core.tensor import ModelSpec
from ringserve.errors import BadRequest, MethodNotAllowed, NotFound, NoWorker, ServeError
from ringserve.net import ask_workers
from ringserve.net.ask_workers import control_all, count_all
from ringserve.wire.model_counts import encode_counts
from ringserve.wire.oip_pages import ModelStatistics

SPEC = ModelSpec("m", "1", "d", (), (), False, 1, True, "cpu")
COUNTED = ModelStatistics(1, 0.5, 0, rows=3)


class Worker:
    """Stands for a link: what its worker answers, and what it was asked."""

    def __init__(self, number: int, outcome: str | ServeError | None) -> None:
        """An outcome of None never comes."""
        self.address = f"w{number}:1"
        self.asked: list[tuple[str, str]] = []
        self._outcome = outcome

    async def control(self, action: str, name: str) -> str:
        self.asked.append((action, name))
        await asyncio.sleep(0)
        if self._outcome is None:
            await asyncio.get_running_loop().create_future()
        if isinstance(self._outcome, ServeError):
            raise self._outcome
        assert self._outcome is not None
        return self._outcome


def fleet(*outcomes: str | ServeError | None) -> list[Any]:
    return [Worker(number, outcome) for number, outcome in enumerate(outcomes, start=1)]


def error_of(*outcomes: str | ServeError | None) -> ServeError | None:
    try:
        asyncio.run(control_all(cast("Any", fleet(*outcomes)), "load", "m"))
    except ServeError as error:
        return error
    return None


def test_every_worker_is_asked_and_all_have_answered_when_it_is_done() -> None:
    workers = fleet("", "", "")
    asyncio.run(control_all(workers, "unload", "m"))
    assert [worker.asked for worker in workers] == [[("unload", "m")]] * 3


@pytest.mark.parametrize(
    ("outcomes", "kind", "sentence"),
    [
        (("", BadRequest("it is broken")), BadRequest, "worker w2:1: it is broken"),
        ((MethodNotAllowed("not here"),) * 2, MethodNotAllowed, "worker w1:1: not here"),
        ((NotFound("unknown"),) * 2, NotFound, "worker w1:1: unknown"),
        ((NotFound("unknown"), BadRequest("broken")), BadRequest, "worker w2:1: broken"),
        ((), NoWorker, "no worker is connected that could load a model"),
    ],
)
def test_the_failure_of_one_is_the_answer_and_names_it(
    outcomes: tuple[str | ServeError, ...], kind: type[ServeError], sentence: str
) -> None:
    error = error_of(*outcomes)
    assert (type(error), str(error)) == (kind, sentence)


def test_a_worker_that_does_not_carry_the_model_is_no_failure_where_another_does() -> None:
    assert error_of(NotFound("unknown"), "") is None


def test_counts_are_summed_without_who_is_late_or_talks_nonsense(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask_workers, "COUNT_WITHIN_S", 0.01)
    told = encode_counts([(SPEC, COUNTED)])
    workers = fleet(told, None, "[", NoWorker("lost"), told, encode_counts([]))
    (counted,) = asyncio.run(count_all(workers, [SPEC]))
    assert (counted.answered, counted.total_s, counted.rows) == (2, 1.0, 6)
    (nothing,) = asyncio.run(count_all([], [SPEC]))
    assert nothing == ModelStatistics(0, 0.0, 0)
