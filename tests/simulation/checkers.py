"""What must hold whatever happens; each checker watches one thing and knows nothing of the others."""

from ringserve.core.breaker import BreakerState
from ringserve.core.call import Call
from ringserve.core.router.brain import Router
from ringserve.core.signature import Result
from ringserve.errors import ServeError
from tests.simulation.process import toy

LATE_MAX_S = 0.3
"""How long after its deadline a request may get its 504: the gateway's tick and the sweep's granularity."""


class Violation(AssertionError):
    """Something that must hold did not."""


def demand(holds: bool, sentence: str) -> None:
    """Raise a violation unless it holds."""
    if not holds:
        raise Violation(sentence)


class Checker:
    """Watches the run; sees everything, changes nothing."""

    def submitted(self, call: Call, calm: bool) -> None:
        """A request arrives; `calm` once the faults are over."""

    def sent(self, router: Router, index: int, call: Call, now: float) -> None:
        """The router sends a call."""

    def ended(self, call: Call, outcome: Result | ServeError, now: float) -> None:
        """A caller has its outcome."""

    def after_event(self, router: Router) -> None:
        """Something happened."""

    def quiet(self, router: Router) -> None:
        """All is over."""


class OneRightAnswer(Checker):
    """Each request ends exactly once, in time, and a result is the right one."""

    def __init__(self) -> None:
        self.waiting: set[Call] = set()

    def submitted(self, call: Call, calm: bool) -> None:
        self.waiting.add(call)

    def ended(self, call: Call, outcome: Result | ServeError, now: float) -> None:
        demand(call in self.waiting, "a request ended twice")
        self.waiting.discard(call)
        demand(now <= call.deadline + LATE_MAX_S, "a request ended too late")
        if isinstance(outcome, Result):
            demand(outcome.payload == toy(call.payload), "a wrong answer")

    def quiet(self, router: Router) -> None:
        demand(not self.waiting, f"{len(self.waiting)} requests never ended")


class NothingToOpenBreaker(Checker):
    """An OPEN breaker lets nothing through, and neither does a link that is down."""

    def sent(self, router: Router, index: int, call: Call, now: float) -> None:
        worker = router.workers[index]
        demand(worker.breaker.state_at(now) is not BreakerState.OPEN, "sent to an open breaker")
        demand(worker.able, "sent to a worker that is not able")


class BooksBalance(Checker):
    """Every accepted request is finished or pending."""

    def after_event(self, router: Router) -> None:
        demand(router.accepted == router.finished + router.pending, "accepted != finished + pending")


class EmptyWhenQuiet(Checker):
    """When all is over, no table holds anything."""

    def quiet(self, router: Router) -> None:
        demand(router.pending == 0, f"{router.pending} calls are left")
        demand(router.balance.flights() == 0, "keys in flight are left")
        for worker in router.workers:
            left = (worker.items, worker.items_out, worker.bytes_out, worker.breaker.permits)
            demand(left == (0, 0, 0, 0), f"worker {worker.index} keeps {left}")


class AnsweredAfterFaults(Checker):
    """Once the faults are over and breakers had their time, everything is answered within a bound."""

    def __init__(self, bound_s: float) -> None:
        self.bound_s = bound_s
        self.calm: set[Call] = set()

    def submitted(self, call: Call, calm: bool) -> None:
        if calm:
            self.calm.add(call)

    def ended(self, call: Call, outcome: Result | ServeError, now: float) -> None:
        if call in self.calm:
            demand(isinstance(outcome, Result), f"failed though nothing was broken any more: {outcome!r}")
            demand(now - call.received_at <= self.bound_s, "answered late though nothing was broken any more")


def all_checkers() -> list[Checker]:
    """Make one of each."""
    return [
        OneRightAnswer(),
        NothingToOpenBreaker(),
        BooksBalance(),
        EmptyWhenQuiet(),
        AnsweredAfterFaults(bound_s=3.0),
    ]
