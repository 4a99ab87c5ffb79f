"""A router with its outside in plain view: callers and ports that keep what they got."""

import itertools

from ringserve.core.breaker import BreakerState
from ringserve.core.call import Call
from ringserve.core.router.brain import Router
from ringserve.core.router.settings import RouterSettings
from ringserve.core.router.worker_state import Hello, KeyFlight, Offer, WorkerState
from ringserve.core.signature import Result, ResultLayout, Signature, TensorLayout
from ringserve.core.tensor import DType, ModelSpec, TensorSpec
from ringserve.errors import ServeError

SHAPE = (TensorSpec("x", DType.FP32, (None, 1)),)
RESULT = Result(ResultLayout((TensorLayout("y", DType.FP32, (1, 1)),)), b"1234")


def spec(digest: str = "model", max_batch: int = 8, name: str = "toy", version: str = "1") -> ModelSpec:
    """Describe a model of this digest."""
    return ModelSpec(name, version, digest, SHAPE, SHAPE, True, max_batch, True, "CPU")


def offers(*models: ModelSpec, first: int = 1) -> tuple[Offer, ...]:
    """Offer these models, numbered from `first`; the last of each name is the default."""
    last = {model.name: model for model in models}
    return tuple(
        Offer(number, model, default=last[model.name] is model)
        for number, model in enumerate(models, start=first)
    )


def hello(
    incarnation: str = "first",
    model: ModelSpec | None = None,
    credit_items: int = 1000,
    credit_bytes: int = 1 << 20,
    run_timeout_s: float = 0.0,
    models: tuple[ModelSpec, ...] | None = None,
) -> Hello:
    """Greet as a worker that grants plenty; with one model, or these."""
    offered = offers(*((model or spec(),) if models is None else models))
    return Hello("name", incarnation, offered, credit_items, credit_bytes, run_timeout_s)


def key_flight_of(call: Call) -> KeyFlight:
    """The calls of the same key and model that are with the same worker."""
    assert call.key_flight is not None
    return call.key_flight


class Caller(Call):
    """Keeps every outcome, so that a second one is seen."""

    def __init__(
        self, number: int, rows: int, now: float, timeout_s: float, model: str = "toy", version: str = "1"
    ) -> None:
        signature = Signature(model, version, (TensorLayout("x", DType.FP32, (rows, 1)),))
        payload = number.to_bytes(4, "little") * rows
        super().__init__(signature.digest(payload), signature, payload, now, now + timeout_s)
        self.answers: list[Result] = []
        self.errors: list[ServeError] = []
        self.versions: list[str] = []

    def taken_for(self, spec: ModelSpec) -> None:
        self.versions.append(spec.version)

    def answer(self, result: Result, node_id: str, cached: bool, time_us: int) -> None:
        self.answers.append(result)

    def fail(self, error: ServeError) -> None:
        self.errors.append(error)

    @property
    def error(self) -> ServeError | None:
        """What it failed with; None while it did not."""
        assert len(self.errors) + len(self.answers) <= 1
        return self.errors[0] if self.errors else None


class Recorder:
    """Ports that keep what was asked of them, in order."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, Call]] = []
        self.cancelled: list[tuple[int, int]] = []
        self.pinged: list[int] = []
        self.disconnected: list[int] = []
        self.goodbyes: list[int] = []
        self.said: list[str] = []

    def send(self, worker: int, call: Call) -> None:
        self.sent.append((worker, call))

    def cancel_on(self, worker: int, call_id: int) -> None:
        self.cancelled.append((worker, call_id))

    def ping(self, worker: int) -> None:
        self.pinged.append(worker)

    def disconnect(self, worker: int) -> None:
        self.disconnected.append(worker)

    def goodbye(self, worker: int) -> None:
        self.goodbyes.append(worker)

    def say(self, sentence: str) -> None:
        self.said.append(sentence)


class Rig:
    """A router of some workers, all greeted, and a clock that moves when told."""

    def __init__(self, workers: int = 3, settings: RouterSettings | None = None, up: bool = True) -> None:
        self.now = 100.0
        self.ports = Recorder()
        addresses = [f"10.0.0.{index}:8001" for index in range(workers)]
        self.router = Router(addresses, settings or RouterSettings(), self.ports)
        self._numbers = itertools.count(1)
        if up:
            for index in range(workers):
                self.up(index)

    def up(self, index: int, greeting: Hello | None = None) -> None:
        """Bring a link up."""
        self.router.link_up(index, greeting or hello(), self.now)
        self.check()

    def worker(self, index: int) -> WorkerState:
        """What the router knows of a worker."""
        return self.router.workers[index]

    def state(self, index: int) -> BreakerState:
        """The state of a worker's breaker."""
        return self.worker(index).breaker.state_at(self.now)

    def caller(
        self,
        home: int | None = None,
        rows: int = 1,
        timeout_s: float = 1000.0,
        model: str = "toy",
        version: str = "1",
    ) -> Caller:
        """Make a request of a new key, at home on the given worker of the ring of all."""
        while True:
            caller = Caller(next(self._numbers), rows, self.now, timeout_s, model, version)
            if home is None or self.router.models.ring.owner(caller.key) == home:
                return caller

    def same(self, caller: Caller) -> Caller:
        """Make another request of the same key."""
        number, signature = int.from_bytes(caller.payload[:4], "little"), caller.signature
        return Caller(number, signature.rows, self.now, 1000.0, signature.model, signature.version)

    def submit(self, caller: Caller) -> Caller:
        """Let the request arrive."""
        self.router.submit(caller, self.now)
        self.check()
        return caller

    def submit_new(
        self,
        home: int | None = None,
        rows: int = 1,
        timeout_s: float = 1000.0,
        model: str = "toy",
        version: str = "1",
    ) -> Caller:
        """Let a request of a new key arrive."""
        return self.submit(self.caller(home, rows, timeout_s, model, version))

    def has_now(self, index: int, *models: ModelSpec, first: int = 1) -> None:
        """Let a worker say that it has these models, numbered from `first`."""
        self.router.models_changed(index, offers(*models, first=first), (), self.now)
        self.check()

    def finish(self, caller: Caller) -> None:
        """Let the worker that has it answer."""
        self.router.answered(caller.worker, caller.id, RESULT, False, 10, self.now)
        self.check()

    def refuse(self, caller: Caller, error: ServeError) -> None:
        """Let the worker that has it refuse."""
        self.router.refused(caller.worker, caller.id, error, self.now)
        self.check()

    def lose(self, index: int) -> None:
        """Break a link."""
        self.router.link_lost(index, self.now)
        self.check()

    def open_breaker(self, index: int) -> None:
        """Break a link until its breaker opens; leave the link up, the process the same."""
        while self.state(index) is not BreakerState.OPEN:
            self.lose(index)
            self.up(index)

    def tick(self, after_s: float = 0.0) -> None:
        """Let time pass, in steps as the shell would."""
        end = self.now + after_s
        while self.now < end:
            self.now = min(end, self.router.next_wake(self.now))
            self.router.tick(self.now)
            self.check()

    def tick_and_hear(self, after_s: float) -> None:
        """Let time pass while every link that is up gives signs of life."""
        end = self.now + after_s
        while self.now < end:
            for worker in self.router.workers:
                self.router.heard(worker.index, self.now)
            self.tick(min(0.5, end - self.now))

    def check(self) -> None:
        """Hold the books against what they count."""
        router = self.router
        assert router.accepted == router.finished + router.pending
        able = [worker for worker in router.workers if worker.able]
        assert router.loads.able_count == len(able)
        assert router.loads.able_load == sum(worker.load for worker in able)
        for worker in router.workers:
            calls = list(worker.in_flight.values())
            assert worker.items_out == sum(call.signature.rows for call in calls)
            assert worker.bytes_out == sum(len(call.payload) for call in calls)
            keys = {(id(key_flight_of(call).table), call.key): call.signature.rows for call in calls}
            assert worker.items == sum(keys.values())
            assert worker.load == max(worker.items, worker.depth)
            assert worker.breaker.permits == len(calls)
