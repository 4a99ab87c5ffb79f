"""Who may still wait: shedding at the door instead of failing in the queue.

A request that would wait longer than it is worth is refused at once, while another worker may still take
it; what has been accepted is never dropped for it. Two rules: the queue has a length, and the expected
wait (items waiting x seconds an item) must fit both `max_wait_s` and the request's own deadline. An empty
queue takes anyone, of however many items: such a request runs slice by slice, and others are refused while
more of it waits than the queue may hold.

Seconds an item is a moving average over runs. What one item costs in a queue shows in the runs of a busy
engine. A run that was not full tells only that an item costs no more than that: one item alone may take
almost as long as a full batch, and a burst after a quiet hour would be refused though it fits into one
run. So such a run (`full=False`) lowers the average, and never raises it.

The average rises faster than it falls. What was let in cannot be refused any more, so a machine that becomes
slower must be noticed within a few runs, while a quick run among slow ones promises nothing. One run no more
than doubles it: a run that hung once must not shut the door behind it. And a burst takes CPU time of its own,
just when the queue fills by what runs took before it: the wait to be expected is taken a quarter longer than
the average says. Measured with ten times the load that two workers can carry, on two cores that the callers
share, runs became a third slower with the burst.
"""

from __future__ import annotations

from dataclasses import dataclass

from ringserve.errors import QueueFull, ServeError, TimeTooShort, WaitTooLong

_AUTO_WAIT_S = 2.0
_AUTO_WAIT_RUNS = 4
_WEIGHT_OF_A_SLOWER_RUN = 0.5
_WEIGHT_OF_A_QUICKER_RUN = 0.1
_RISE_MAX = 2.0
_RETRY_AFTER_MIN_S = 1.0
_CAUTION = 1.25


@dataclass(frozen=True, slots=True)
class AdmissionStatistics:
    """A door at one moment; each attribute means what it means in `Admission`."""

    max_queue: int
    max_wait_s: float
    item_s: float
    shed_full: int
    shed_wait: int
    shed_deadline: int


class Admission:
    """The door of one model's queue.

    Attributes:
        max_queue: Items that may wait.
        max_wait_s: The longest expected wait, in seconds.
        item_s: Seconds an item of the queue takes, as measured; 0 before the first run.
        shed_full: Requests refused because the queue was full.
        shed_wait: Requests refused because they would wait longer than `max_wait_s`.
        shed_deadline: Requests refused because their deadline would pass while they wait.
    """

    __slots__ = (
        "_full_batch_s",
        "_wait_given_s",
        "item_s",
        "max_queue",
        "max_wait_s",
        "shed_deadline",
        "shed_full",
        "shed_wait",
    )

    def __init__(self, max_queue: int, max_wait_s: float | None) -> None:
        """Open the door.

        Args:
            max_queue: Items that may wait.
            max_wait_s: The longest expected wait, in seconds; None for the larger of 2 s and four runs
                of a full batch (set `full_batch_s` when it is known).
        """
        self.max_queue = max_queue
        self._wait_given_s = max_wait_s
        self.item_s = 0.0
        self.shed_full = 0
        self.shed_wait = 0
        self.shed_deadline = 0
        self.full_batch_s = 0.0

    @property
    def full_batch_s(self) -> float:
        """How long a run of a full batch takes, in seconds, as the warm-up measured it."""
        return self._full_batch_s

    @full_batch_s.setter
    def full_batch_s(self, seconds: float) -> None:
        self._full_batch_s = seconds
        given = self._wait_given_s
        self.max_wait_s = max(_AUTO_WAIT_S, _AUTO_WAIT_RUNS * seconds) if given is None else given

    def observe_run(self, items: int, seconds: float, *, full: bool = True) -> None:
        """Learn from a run; the warm-up's run of a full batch is a good first one.

        Args:
            items: Items it ran, at least 1.
            seconds: How long it took; with several runs side by side, divided by their number.
            full: Whether it had no room for another item, or left items waiting.
        """
        item_s = seconds / items
        if not self.item_s:
            self.item_s = item_s
        elif item_s < self.item_s:
            self.item_s += _WEIGHT_OF_A_QUICKER_RUN * (item_s - self.item_s)
        elif full:
            raised_s = self.item_s + _WEIGHT_OF_A_SLOWER_RUN * (item_s - self.item_s)
            self.item_s = min(raised_s, _RISE_MAX * self.item_s)

    def check(self, depth: int, rows: int, now: float, deadline: float) -> ServeError | None:
        """Return why a request must not wait, or None: let it in. 0.12 us.

        A deadline that has passed already is no reason here: what is too late is failed as such.

        Args:
            depth: Items waiting now.
            rows: Items of the request.
            now: The time.
            deadline: When the request's answer is too late.
        """
        if not depth:
            return None
        if depth + rows > self.max_queue:
            return self._queue_full(depth, rows)
        wait_s = depth * self.item_s * _CAUTION
        if wait_s > self.max_wait_s:
            self.shed_wait += 1
            return _too_long(WaitTooLong, wait_s, self.max_wait_s, "it may wait {:.0f} ms")
        if now + wait_s > deadline > now:
            self.shed_deadline += 1
            return _too_long(TimeTooShort, wait_s, deadline - now, "the request has {:.0f} ms left")
        return None

    def statistics(self) -> AdmissionStatistics:
        """What it goes by and counts now."""
        return AdmissionStatistics(
            self.max_queue,
            self.max_wait_s,
            self.item_s,
            self.shed_full,
            self.shed_wait,
            self.shed_deadline,
        )

    def _queue_full(self, depth: int, rows: int) -> QueueFull:
        self.shed_full += 1
        return QueueFull(
            f"the queue holds {depth} of at most {self.max_queue} items, no room for {rows} more",
            retry_after_s=max(_RETRY_AFTER_MIN_S, depth * self.item_s),
        )


def _too_long(kind: type[ServeError], wait_s: float, bound_s: float, bound: str) -> ServeError:
    # By the time the excess is worked off, the same request would be let in.
    return kind(
        f"the wait would be about {wait_s * 1e3:.0f} ms, {bound.format(bound_s * 1e3)}",
        retry_after_s=max(_RETRY_AFTER_MIN_S, wait_s - bound_s),
    )
