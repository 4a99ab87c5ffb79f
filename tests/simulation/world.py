"""The whole of it: the real router, three real nodes, and one seed that decides everything else."""

import random
from functools import partial

from ringserve.core.call import Call
from ringserve.core.router.brain import Router
from ringserve.core.router.settings import RouterSettings
from ringserve.core.router.worker_state import Hello
from ringserve.core.signature import Result, Signature, TensorLayout
from ringserve.core.tensor import DType, ModelSpec, TensorSpec
from ringserve.errors import ServeError
from tests.simulation.checkers import Checker, all_checkers
from tests.simulation.clock import Clock
from tests.simulation.network import Link
from tests.simulation.process import Process, RemoteCall

WORKERS = 3
FAULTS_S = 3.0
SETTLE_S = 3.0
CALM_CALLS = 20
SIGNATURE = Signature("toy", "1", (TensorLayout("x", DType.UINT8, (1, 8)),))
INPUT = (TensorSpec("x", DType.UINT8, (None, 8)),)
SPEC = ModelSpec("toy", "1", "digest", INPUT, INPUT, True, 4, True, "CPU")


class Caller(Call):
    """A request from outside; tells the world how it ended."""

    def __init__(self, world: "World", number: int, timeout_s: float) -> None:
        payload = number.to_bytes(8, "little")
        now = world.clock.now
        super().__init__(SIGNATURE.digest(payload), SIGNATURE, payload, now, now + timeout_s)
        self.world = world

    def answer(self, result: Result, node_id: str, cached: bool, time_us: int) -> None:
        self.world.ended(self, result)

    def fail(self, error: ServeError) -> None:
        self.world.ended(self, error)


class World:
    """A run decided by its seed; also the router's ports.

    Attributes:
        story: What went wrong on purpose, and when.
        outcomes: How often each kind of outcome came.
    """

    def __init__(
        self, seed: int, router: type[Router] = Router, checkers: list[Checker] | None = None
    ) -> None:
        self.chance = random.Random(seed)
        self.clock = Clock()
        self.checkers = all_checkers() if checkers is None else checkers
        self.story: list[str] = []
        self.outcomes: dict[str, int] = {}
        self.calm = False
        self.delay_max_s = self.chance.choice([0.0, 0.001, 0.02, 0.1])
        self.run_s = self.chance.choice([0.001, 0.02, 0.1])
        settings = RouterSettings(
            failure_threshold=self.chance.randint(1, 5),
            circuit_timeout_s=self.chance.uniform(0.5, 2.0),
        )
        self.router = router([f"10.0.0.{index}:8001" for index in range(WORKERS)], settings, self)
        self.processes: list[Process | None] = [None] * WORKERS
        self.links: list[Link | None] = [None] * WORKERS
        self.unreachable_until = [0.0] * WORKERS
        self.incarnations = 0

    def run(self) -> None:
        """Begin, break things, stop breaking them, and see that all is well."""
        for index in range(WORKERS):
            self.start(index)
            self.connect(index)
        self.tick()
        self.plan_requests()
        self.plan_faults()
        self.clock.run_until(FAULTS_S + SETTLE_S, self.after_event)
        self.calm = True
        for number in range(CALM_CALLS):
            self.clock.after(0.01 * number, partial(self.submit, 1 << 40 | number, 10.0))
        self.clock.run_until(self.clock.now + 12.0, self.after_event)
        for checker in self.checkers:
            checker.quiet(self.router)

    def plan_requests(self) -> None:
        """Spread requests over the time of the faults; a small pool of keys makes hot ones."""
        keys = self.chance.choice([3, 50, 10_000])
        for _ in range(self.chance.randint(20, 200)):
            number, timeout_s = self.chance.randrange(keys), self.chance.choice([0.05, 0.5, 5.0])
            when = self.chance.uniform(0.2, FAULTS_S)
            self.clock.at(when, partial(self.submit, number, timeout_s))

    def plan_faults(self) -> None:
        """Crash and cut at random moments."""
        for _ in range(self.chance.randint(1, 10)):
            index = self.chance.randrange(WORKERS)
            fault = self.chance.choice([self.crash, self.cut])
            self.clock.at(self.chance.uniform(0.2, FAULTS_S), partial(fault, index))

    def submit(self, number: int, timeout_s: float) -> None:
        """Let a request arrive."""
        call = Caller(self, number, timeout_s)
        for checker in self.checkers:
            checker.submitted(call, self.calm)
        self.router.submit(call, self.clock.now)

    def ended(self, call: Call, outcome: Result | ServeError) -> None:
        """A caller has its outcome."""
        kind = type(outcome).__name__
        self.outcomes[kind] = self.outcomes.get(kind, 0) + 1
        for checker in self.checkers:
            checker.ended(call, outcome, self.clock.now)

    def after_event(self) -> None:
        """Let the checkers look."""
        for checker in self.checkers:
            checker.after_event(self.router)

    def tick(self) -> None:
        """Drive the router's timer."""
        self.router.tick(self.clock.now)
        self.clock.at(self.router.next_wake(self.clock.now), self.tick)

    # Faults

    def start(self, index: int) -> None:
        """Begin a new process under this address."""
        self.incarnations += 1
        name = f"worker_{index + 1}"
        self.processes[index] = Process(name, str(self.incarnations), self.clock, self.chance, self.run_s)

    def crash(self, index: int) -> None:
        """End the process in the middle of what it does; another comes up later."""
        process = self.processes[index]
        if process is None:
            return
        self.story.append(f"{self.clock.now:.3f} crash of worker {index}")
        process.alive = False
        self.processes[index] = None
        self.break_link(index)
        self.clock.after(self.chance.uniform(0.05, 1.0), lambda: self.start(index))

    def cut(self, index: int) -> None:
        """Cut the link; the process lives and may not be reached for a while."""
        self.story.append(f"{self.clock.now:.3f} cut of the link to worker {index}")
        self.unreachable_until[index] = self.clock.now + self.chance.choice([0.0, 0.5])
        self.break_link(index)

    def break_link(self, index: int) -> None:
        """Both ends see it at once."""
        link, process = self.links[index], self.processes[index]
        if link is None:
            return
        link.alive = False
        self.links[index] = None
        if process is not None:
            process.link_lost()
        self.router.link_lost(index, self.clock.now)
        self.clock.after(0.01, lambda: self.connect(index))

    def connect(self, index: int) -> None:
        """Try to connect, again and again."""
        process, now = self.processes[index], self.clock.now
        if process is None or now < self.unreachable_until[index]:
            self.router.connect_failed(index, now, refused=process is None)
            self.clock.after(0.1, lambda: self.connect(index))
            return
        self.links[index] = Link(self.clock, self.chance, self.delay_max_s)
        hello = Hello(process.name, process.incarnation, SPEC, 136, 1 << 20)
        self.router.link_up(index, hello, now)

    # Ports

    def send(self, worker: int, call: Call) -> None:
        for checker in self.checkers:
            checker.sent(self.router, worker, call, self.clock.now)
        link, process, router = self.links[worker], self.processes[worker], self.router
        if link is None or process is None:
            return
        remote = RemoteCall(
            call,
            self.clock.now,
            link,
            lambda number, result, cached, time_us: router.answered(
                worker, number, result, cached, time_us, self.clock.now
            ),
            lambda number, error: router.refused(worker, number, error, self.clock.now),
        )
        link.to_worker(lambda: process.receive(remote))

    def cancel_on(self, worker: int, call_id: int) -> None:
        link, process = self.links[worker], self.processes[worker]
        if link is not None and process is not None:
            link.to_worker(lambda: process.cancel(call_id))

    def ping(self, worker: int) -> None:
        link, process = self.links[worker], self.processes[worker]
        if link is not None and process is not None:
            link.to_worker(lambda: link.to_gateway(lambda: self.pong(worker, process)))

    def pong(self, worker: int, process: Process) -> None:
        """Hear a worker's sign of life."""
        now, node = self.clock.now, process.node
        self.router.heard(worker, now)
        self.router.pong(worker, node.oldest_run_s(now), node.slowest_run_s, node.runs_finished, now)
        self.router.depth(worker, node.depth)

    def disconnect(self, worker: int) -> None:
        self.story.append(f"{self.clock.now:.3f} the router gave up the link to worker {worker}")
        link, process = self.links[worker], self.processes[worker]
        if link is not None:
            link.alive = False
            self.links[worker] = None
        if process is not None:
            process.link_lost()
        self.clock.after(0.01, lambda: self.connect(worker))

    def goodbye(self, worker: int) -> None:
        self.story.append(f"goodbye to worker {worker}")

    def say(self, sentence: str) -> None:
        self.story.append(sentence)
