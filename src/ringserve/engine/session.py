"""The engine: one model, opened, checked, warm, and ready to run batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ringserve.core.signature import Result, Signature
from ringserve.core.tensor import ModelSpec
from ringserve.engine.custom_ops import libraries_for
from ringserve.engine.mixed_plan import MixedPlan
from ringserve.engine.model_file import ModelFile, check_unchanged, read_model_file
from ringserve.engine.probe import ROWS_MIN, Probe, Prober
from ringserve.engine.provider import choose, open_session, tell_of_fallback
from ringserve.engine.reasons import mend, shorten
from ringserve.engine.run_plan import RunPlan, make_plan
from ringserve.engine.runs import TimedRuns
from ringserve.engine.runtime import CPU, Runtime, Session
from ringserve.engine.specs import read_inputs, read_outputs, why_not_batched, with_ranks
from ringserve.errors import ModelFailed, UsageError

_PLANS_MAX = 256
"""Kinds of requests whose plan is remembered; one more and all are worked out anew."""

SLOTS_WITHOUT_BATCHING = 2
"""Runs at a time of a model that cannot batch: the next begins while an answer is carried away."""

_NO_INPUT = "no input was found that it accepts, so it is not warmed up either"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the owner of a model wants for it.

    Attributes:
        name: What it is called; empty for the file's stem.
        version: Its version.
        cache: Whether answers are remembered: False never, True also where an operator of an unknown domain
            might draw random numbers, None where all operators are known not to.
        custom_ops: Paths of libraries of custom operators, separated by commas.
    """

    name: str = ""
    version: str = "1"
    cache: bool | None = None
    custom_ops: str = ""

    def remembers(self, file: ModelFile) -> bool:
        """Whether answers of this model may be remembered and shared."""
        return self.cache is not False and not file.random and (self.cache is True or not file.unknown)


class Engine:
    """A loaded model. `run` may be called from as many threads at a time as there are `slots`.

    Attributes:
        spec: What the model is.
        provider: What runs it, such as `cpu`.
        single_run_s: Seconds for a run of one item (median at warm-up).
        full_batch_s: Seconds for a run at max-batch (median at warm-up).
        slowest_run_s: The longest run of the warm-up, the very first included.
        slots: Runs that may go on at a time.
    """

    __slots__ = (
        "_mixed_plans",
        "_plans",
        "_session",
        "full_batch_s",
        "provider",
        "single_run_s",
        "slots",
        "slowest_run_s",
        "spec",
    )

    def __init__(self, session: Session, spec: ModelSpec, single_run_s: float, full_batch_s: float) -> None:
        """Use `Engine.load`."""
        self._session = session
        self._plans: dict[bytes, RunPlan] = {}
        self._mixed_plans: dict[bytes, MixedPlan] = {}
        self.spec = spec
        self.provider = spec.platform
        self.single_run_s = single_run_s
        self.full_batch_s = full_batch_s
        self.slowest_run_s = max(single_run_s, full_batch_s)
        self.slots = 1 if spec.batching else SLOTS_WITHOUT_BATCHING

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        provider: str,
        batching: str,
        max_batch: int,
        threads: int,
        say: Say,
        wish: Wish | None = None,
        runtime: Runtime | None = None,
    ) -> Engine:
        """Open a model, prove that it batches, and warm it up. Blocks: for a slow model for many runs.

        Args:
            path: The .onnx file.
            provider: `auto`, or the name of one.
            batching: `auto` (prove it), `on` (take it for granted) or `off`.
            max_batch: Items a run at most.
            threads: Threads for one run.
            say: Takes each line for the person who started us.
            wish: What else its owner wants.
            runtime: onnxruntime and this machine; tests put another in its place.

        Raises:
            UsageError: The file, the provider or the model cannot be used; the sentence says why.
        """
        runtime, wish = runtime or Runtime(), wish or Wish()
        choice = choose(provider, say, runtime)
        file = read_model_file(path, wish.name)
        runtime.custom_ops = libraries_for(file, wish.custom_ops, runtime)
        try:
            session, used = open_session(choice, file.served, threads, say, runtime)
        except UsageError:
            raise
        except Exception as error:  # the border: onnxruntime's errors share no base class
            raise UsageError(f"{path} cannot be loaded: {shorten(error)}; {mend(error)}") from error
        check_unchanged(file)
        loading = _Loading(file, session, max_batch)
        single_run_s, full_batch_s = loading.prepare(batching)
        if not loading.has_run and choice.falls_back and used == choice.name:
            # A provider may load and then fail at every run: a device too old, too full, or taken.
            on_cpu = _Loading(file, runtime.open(file.served, [CPU], threads), max_batch)
            figures = on_cpu.prepare(batching)
            if on_cpu.has_run:
                tell_of_fallback(choice, loading.runs.last_failure, say)
                loading, used, (single_run_s, full_batch_s) = on_cpu, "cpu", figures
        if file.unknown and wish.cache is None:
            say(f"model {file.name!r}: its answers are neither remembered nor shared, as {file.unknown}")
        for line in loading.said:
            say(line)
        batches = loading.batches
        spec = ModelSpec(
            name=file.name,
            version=wish.version,
            digest=file.digest,
            inputs=loading.inputs,
            outputs=with_ranks(loading.outputs, loading.runs.ranks),
            batching=batches,
            max_batch=max_batch if batches else 1,
            cacheable=wish.remembers(file),
            platform=used,
        )
        engine = cls(loading.session, spec, single_run_s, full_batch_s)
        engine.slowest_run_s = loading.runs.slowest_s
        return engine

    def run(
        self,
        signature: Signature,
        payloads: Sequence[bytes],
        signatures: Sequence[Signature] | None = None,
    ) -> list[Result]:
        """Run requests of one group: in one run where the model batches, else one after the other.

        Args:
            signature: Valid for this model; that of every request, or of the first.
            payloads: For each request the bytes of its tensors, one after the other in the model's order.
            signatures: Of each request where they differ: all of the same group (`Signature.group`). None
                where every payload has the shape that `signature` tells.

        Returns:
            The answers, in the requests' order.

        Raises:
            ModelFailed: The model failed, for at least one of them.
        """
        if signatures is not None:
            mixed = self._mixed_plans.get(signature.group) or self._new_mixed_plan(signature)
            return mixed.run(signatures, payloads)
        plan = self._plans.get(signature.encoded) or self._new_plan(signature)
        return plan.run(payloads)

    def _new_plan(self, signature: Signature) -> RunPlan:
        if len(self._plans) >= _PLANS_MAX:
            self._plans.clear()
        plan = make_plan(self._session, self.spec.outputs, signature, batching=self.spec.batching)
        self._plans[signature.encoded] = plan
        return plan

    def _new_mixed_plan(self, signature: Signature) -> MixedPlan:
        if len(self._mixed_plans) >= _PLANS_MAX:
            self._mixed_plans.clear()
        plan = self._mixed_plans[signature.group] = MixedPlan(self._session, self.spec.outputs, signature)
        return plan


class _Loading:
    """The steps between an open session and a warm engine; `said` is what there is to tell of them."""

    __slots__ = (
        "_file",
        "_max_batch",
        "_probe",
        "_prober",
        "_told",
        "batches",
        "inputs",
        "outputs",
        "runs",
        "said",
        "session",
    )

    def __init__(self, file: ModelFile, session: Session, max_batch: int) -> None:
        self._file = file
        self._max_batch = max_batch
        self._probe: Probe | None = None
        self._told = False  # that no input was found
        self.said: list[str] = []
        self.session = session
        self.inputs = read_inputs(session, file.name)
        self.outputs = read_outputs(session, file.name, self.said.append)
        self.runs = TimedRuns(session, self.outputs)
        self.batches = False
        self._prober = Prober(self.inputs, self.runs, max_batch, file.words, file.categories)

    @property
    def has_run(self) -> bool:
        """Whether any input was found that the model accepts."""
        return self._probe is not None

    def prepare(self, batching: str) -> tuple[float, float]:
        """Decide on batching and warm up; returns seconds for one item and for a full batch."""
        self.batches = self.decide_batching(batching)
        return self.warm_up(self._max_batch if self.batches else 1)

    def decide_batching(self, batching: str) -> bool:
        """Whether items may share runs; where that was wanted and is not so, one line tells why."""
        why_not = why_not_batched(self.inputs)
        wanted = batching != "off" and self._max_batch > 1
        provable = wanted and batching == "auto" and not why_not and not self._file.random
        self._probe = self._prober.find(ROWS_MIN if provable else 1)
        if not wanted:
            return False
        if not why_not and batching == "on":
            self.said.append(
                f"--batching on: nothing has proved that the rows of model {self._file.name!r} do not change "
                "each other's answers"
            )
            return True
        why_not = why_not or self._find_flaw()
        if why_not:
            self._told = why_not == _NO_INPUT
            self.said.append(f"model {self._file.name!r} runs item by item: {why_not}")
        return not why_not

    def _find_flaw(self) -> str:
        if self._file.random:
            return "it draws random numbers"
        if self._probe is None:
            return _NO_INPUT
        return self._prober.find_flaw(self._probe)

    def warm_up(self, max_batch: int) -> tuple[float, float]:
        """Run at 1 and at max-batch several times.

        Returns:
            Seconds for one item and for a full batch; 0 where no input was found that the model accepts.
        """
        if self._probe is None:
            if not self._told:
                self.said.append(f"model {self._file.name!r} starts cold: {_NO_INPUT}")
            return 0.0, 0.0
        try:
            single = self.runs.measure(self._prober.feed_item(self._probe), 1)
            if max_batch == 1:
                return single, single
            return single, self.runs.measure(self._prober.feed(self._probe, max_batch), max_batch)
        except ModelFailed as error:
            # Reached with `--batching on` only: a proof would have found it.
            self.said.append(f"model {self._file.name!r} failed at warm-up: {error.message}")
            return self.runs.median_s(1), self.runs.slowest_s
