"""The engine: one model, opened, checked, warm, and ready to run batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ringserve.core.signature import Result, Signature
from ringserve.core.tensor import ModelSpec
from ringserve.engine.custom_ops import libraries_for
from ringserve.engine.loading import Loading
from ringserve.engine.mixed_plan import MixedPlan
from ringserve.engine.model_file import ModelFile, check_unchanged, read_model_file
from ringserve.engine.provider import choose, open_session, tell_of_fallback
from ringserve.engine.reasons import mend, shorten
from ringserve.engine.run_plan import RunPlan, make_plan
from ringserve.engine.runtime import CPU, Runtime
from ringserve.engine.specs import with_ranks
from ringserve.engine.threads import slots_for
from ringserve.errors import UsageError

_PLANS_MAX = 256
"""Kinds of requests whose plan is remembered; one more and all are worked out anew."""

_FORGETS = "its answers are neither remembered nor shared"

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
        free_batch: Whether a fixed batch of 1 is made free where that is proved to change no answer.
    """

    name: str = ""
    version: str = "1"
    cache: bool | None = None
    custom_ops: str = ""
    free_batch: bool = True

    def remembers(self, file: ModelFile) -> bool:
        """Whether answers of this model may be remembered and shared."""
        return self.cache is not False and not file.random and (self.cache is True or not file.unknown)


class Engine:
    """A loaded model. `run` may be called from as many threads at a time as there are `slots`.

    Attributes:
        spec: What the model is.
        provider: What runs it, such as `cpu`.
        rows_max: Items in one run: max-batch, or 1 where the model cannot batch or gains nothing by it.
        single_run_s: Seconds for a run of one item (median at warm-up).
        full_batch_s: Seconds for a run of `rows_max` (median at warm-up).
        slowest_run_s: The longest run of the warm-up, the very first included.
        slots: Runs that may go on at a time.
    """

    __slots__ = (
        "_mixed_plans",
        "_plans",
        "_session",
        "full_batch_s",
        "provider",
        "rows_max",
        "single_run_s",
        "slots",
        "slowest_run_s",
        "spec",
    )

    def __init__(self, loading: Loading, spec: ModelSpec, slots: int) -> None:
        """Use `Engine.load`."""
        self._session = loading.session
        self._plans: dict[bytes, RunPlan] = {}
        self._mixed_plans: dict[bytes, MixedPlan] = {}
        self.spec = spec
        self.provider = spec.platform
        self.rows_max = loading.rows_max
        self.single_run_s = loading.single_run_s
        self.full_batch_s = loading.full_batch_s
        self.slowest_run_s = max(loading.runs.slowest_s, self.single_run_s, self.full_batch_s)
        self.slots = slots

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
        loading = Loading(file, session, max_batch)
        loading.prepare(batching)
        if not loading.has_run and choice.falls_back and used == choice.name:
            # A provider may load and then fail at every run: a device too old, too full, or taken.
            on_cpu = Loading(file, runtime.open(file.served, [CPU], threads), max_batch)
            on_cpu.prepare(batching)
            if on_cpu.has_run:
                tell_of_fallback(choice, loading.runs.last_failure, say)
                loading, used = on_cpu, "cpu"
        if wish.free_batch and batching != "off":
            providers = [CPU] if used == "cpu" else [choice.onnx, CPU]
            freed = loading.with_free_batch(lambda copy: runtime.open(copy, providers, threads))
            if freed is not None:
                loading = freed
                loading.warm_up()
        cacheable = _is_cacheable(file, wish, loading, say)
        for line in loading.lines():
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
            cacheable=cacheable,
            platform=used,
        )
        return cls(loading, spec, slots=1 if loading.rows_max > 1 else slots_for(threads, used))

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


def _is_cacheable(file: ModelFile, wish: Wish, loading: Loading, say: Say) -> bool:
    """Whether answers are remembered; where that is not the owner's choice, one line says why not."""
    if file.unknown and wish.cache is None:
        say(f"model {file.name!r}: {_FORGETS}, as {file.unknown}")
    remembers = wish.remembers(file)
    if remembers and not loading.steady:
        say(f"model {file.name!r}: {_FORGETS}, as one input got two of them")
    return remembers and loading.steady
