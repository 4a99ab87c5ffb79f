"""Sends the load: client threads, a connection each, one request at a time, none repeated.

OS threads, as in the C++ reference design's benchmark: a client that waits for an answer before it sends
the next request, so the number of threads is the number of requests in flight. A latency runs from just
before the request is written (connecting included, where a connection must be opened) until its whole
answer is there; reading the JSON comes after.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count as counting
from time import perf_counter

from ringserve.tools.address import Address
from ringserve.tools.http_caller import Caller, CallError, Reply
from ringserve.tools.json_reply import object_in, sentence_of, text_at

_HTTP_OK = 200
_WAKE_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is sent, where to, and within which limits."""

    gateway: Address
    bodies: Sequence[bytes]
    requests: int
    threads: int
    timeout_s: float
    time_limit_s: float


@dataclass(slots=True)
class NodeCount:
    """The answers that named one worker."""

    answers: int = 0
    cached: int = 0


@dataclass(slots=True)
class Failures:
    """The requests that failed in one way, and what the first of them was told."""

    count: int = 0
    first: str = ""


@dataclass(slots=True)
class Tally:
    """What came of a load: the latencies of its successes in seconds, and its failures by reason."""

    latencies_s: list[float] = field(default_factory=list)
    nodes: dict[str, NodeCount] = field(default_factory=dict)
    failures: dict[str, Failures] = field(default_factory=dict)
    requests: int = 0
    elapsed_s: float = 0.0

    @property
    def succeeded(self) -> int:
        """How many requests were answered with 200 and what belongs in it."""
        return len(self.latencies_s)

    @property
    def failed(self) -> int:
        """How many requests were sent and failed."""
        return sum(failures.count for failures in self.failures.values())

    @property
    def not_sent(self) -> int:
        """How many requests the time limit, or the user, left unsent."""
        return self.requests - self.succeeded - self.failed

    def succeed(self, latency_s: float, node: str, cached: bool) -> None:
        """Count an answer."""
        self.latencies_s.append(latency_s)
        counts = self.nodes.setdefault(node, NodeCount())
        counts.answers += 1
        counts.cached += cached

    def fail(self, reason: str, sentence: str, count: int = 1) -> None:
        """Count a failure; the first sentence of each reason is kept."""
        failures = self.failures.setdefault(reason, Failures(first=sentence))
        failures.count += count

    def add(self, other: Tally) -> None:
        """Take over what another thread counted."""
        self.latencies_s += other.latencies_s
        for node, counts in other.nodes.items():
            mine = self.nodes.setdefault(node, NodeCount())
            mine.answers += counts.answers
            mine.cached += counts.cached
        for reason, failures in other.failures.items():
            self.fail(reason, failures.first, failures.count)


def send_load(plan: Plan, progress: Callable[[int], None]) -> Tally:
    """Send a load and wait until it is through, or its time is up, or the user interrupts.

    Args:
        plan: The load. Its bodies are sent round and round.
        progress: Told from time to time how many requests are through.
    """
    run = _Run(plan)
    threads = [threading.Thread(target=run.work, args=(tally,), daemon=True) for tally in run.tallies]
    started = perf_counter()
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            _wait(thread, run, progress)
    except KeyboardInterrupt:
        # What is in flight is waited for, within a request's own time limit; the rest is not sent.
        run.stop.set()
        for thread in threads:
            thread.join()
    total = Tally(requests=plan.requests, elapsed_s=perf_counter() - started)
    for tally in run.tallies:
        total.add(tally)
    progress(total.succeeded + total.failed)
    return total


def _wait(thread: threading.Thread, run: _Run, progress: Callable[[int], None]) -> None:
    while thread.is_alive():
        thread.join(_WAKE_S)
        progress(sum(tally.succeeded + tally.failed for tally in run.tallies))


class _Run:
    """What the threads of one load share: the plan, whose turn it is, and the order to stop."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.stop = threading.Event()
        self.tallies = [Tally() for _ in range(min(plan.threads, plan.requests))]
        self._deadline = perf_counter() + plan.time_limit_s
        # next() of a count is one step of the interpreter: no two threads get the same number.
        self._turns: Iterator[int] = counting()

    def work(self, tally: Tally) -> None:
        """Send requests, one after the other, until none is left."""
        plan = self.plan
        with Caller(plan.gateway, plan.timeout_s) as caller:
            while not self.stop.is_set():
                turn = next(self._turns)
                if turn >= plan.requests or perf_counter() > self._deadline:
                    return
                request_id = f"bench-{turn}"
                body = b'{"request_id":"%b",%b' % (request_id.encode(), plan.bodies[turn % len(plan.bodies)])
                _send(caller, body, request_id, tally)


def _send(caller: Caller, body: bytes, request_id: str, tally: Tally) -> None:
    started = perf_counter()
    try:
        reply = caller.post("/infer", body)
    except CallError as error:
        tally.fail("no answer", str(error))
        return
    _judge(reply, perf_counter() - started, request_id, tally)


def _judge(reply: Reply, latency_s: float, request_id: str, tally: Tally) -> None:
    answer = object_in(reply)
    if reply.status != _HTTP_OK:
        tally.fail(str(reply.status), sentence_of(reply))
    elif answer is None or not isinstance(answer.get("output_data"), list):
        tally.fail("not an answer", f"no output_data in: {sentence_of(reply)}")
    elif answer.get("request_id") != request_id:
        tally.fail("wrong answer", f"sent {request_id}, answered for {answer.get('request_id')}")
    else:
        tally.succeed(latency_s, text_at(answer, "node_id"), answer.get("cached") is True)
