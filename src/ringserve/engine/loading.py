"""From an open session to a warm model: what it takes, whether it batches, how long it runs."""

from __future__ import annotations

from collections.abc import Callable

from ringserve.engine.free_batch import free_copy
from ringserve.engine.model_file import ModelFile, check_unchanged
from ringserve.engine.probe import ROWS_MIN, Probe, Prober
from ringserve.engine.reasons import shorten
from ringserve.engine.runs import TimedRuns
from ringserve.engine.runtime import Session
from ringserve.engine.specs import read_inputs, read_outputs, why_not_batched
from ringserve.errors import ModelFailed, UsageError

_SLOW_ITEM_S = 0.1
"""An item that takes longer alone is not worth a batch: the proof takes some 80 times as long."""
_GAIN_MIN = 0.9
"""What part of its time alone an item of a full batch may take, where a batch was made free to save time."""

_NO_INPUT = "no input was found that it accepts, so it is not warmed up either"


class Loading:
    """The steps between an open session and a warm engine.

    Attributes:
        session: Runs the model.
        inputs: What it takes.
        outputs: What is served of what it gives.
        runs: Those of the proof and the warm-up.
        batches: Whether items may share runs.
        rows_max: Items that do.
        single_run_s: Seconds for a run of one item; 0 where no input was found that the model accepts.
        full_batch_s: Seconds for a run of `rows_max` items.
        steady: Whether an input that came again was given the same answer.
        why_not: Why not, where that was wanted.
    """

    __slots__ = (
        "_file",
        "_freed",
        "_max_batch",
        "_probe",
        "_prober",
        "_said",
        "batches",
        "full_batch_s",
        "inputs",
        "outputs",
        "rows_max",
        "runs",
        "session",
        "single_run_s",
        "steady",
        "why_not",
    )

    def __init__(
        self, file: ModelFile, session: Session, max_batch: int, original: TimedRuns | None = None
    ) -> None:
        """Read what the session says.

        Args:
            file: The model.
            session: Has it open.
            max_batch: Items a run at most.
            original: Runs the model of which this one is a copy: it says what one item's answer is.
        """
        self._file = file
        self._max_batch = max_batch
        self._probe: Probe | None = None
        self._said: list[str] = []
        self.session = session
        self.inputs = read_inputs(session, file.name)
        self.outputs = read_outputs(session, file.name, self._said.append)
        self.runs = TimedRuns(session, self.outputs)
        self.batches = False
        self.rows_max = 1
        self.single_run_s = self.full_batch_s = 0.0
        self.why_not = ""
        self._freed = False
        self.steady = True
        self._prober = Prober(self.inputs, self.runs, max_batch, file.words, file.categories, original)

    @property
    def has_run(self) -> bool:
        """Whether any input was found that the model accepts."""
        return self._probe is not None

    @property
    def takes_one_item(self) -> bool:
        """Whether all inputs and outputs are fixed to one item."""
        return all(tensor.shape[:1] == (1,) for tensor in (*self.inputs, *self.outputs))

    def lines(self) -> list[str]:
        """What there is to tell the person who started us."""
        name = self._file.name
        if self.why_not:
            return [*self._said, f"model {name!r} runs item by item: {self.why_not}"]
        if not self._freed:
            return self._said
        alone = (
            "" if self.rows_max > 1 else ", but items run one by one, since together they take no less time"
        )
        line = f"model {name!r}: its fixed batch of 1 was made free, which changes no answer{alone}"
        return [*self._said, f"{line}; --free-batch off serves it as it is"]

    def prepare(self, batching: str) -> None:
        """Decide on batching, `auto`, `on` or `off`, and warm up."""
        self.decide_batching(batching)
        self.warm_up()

    def decide_batching(self, batching: str) -> None:
        """Find out whether items may share runs."""
        why_not = why_not_batched(self.inputs)
        wanted = batching != "off" and self._max_batch > 1
        provable = wanted and batching == "auto" and not why_not and not self._file.random
        self._probe = self._prober.find(ROWS_MIN if provable else 1)
        if not wanted:
            return
        if not why_not and batching == "on":
            self._said.append(
                f"--batching on: nothing has proved that the rows of model {self._file.name!r} do not change "
                "each other's answers"
            )
        else:
            self.why_not = why_not or self._find_flaw()
        self.batches = not self.why_not
        self.rows_max = self._max_batch if self.batches else 1

    def warm_up(self) -> None:
        """Run at 1 and, where the model batches, at max-batch several times, to know how long that takes."""
        if self._probe is None:
            if self.why_not != _NO_INPUT:
                self._said.append(f"model {self._file.name!r} starts cold: {_NO_INPUT}")
            return
        try:
            self.single_run_s = self.full_batch_s = self.runs.measure(self._prober.feed_item(self._probe), 1)
            self.steady = self._prober.is_steady(self._probe)
            if self.batches:
                full = self._prober.feed(self._probe, self._max_batch)
                self.full_batch_s = self.runs.measure(full, self._max_batch)
        except ModelFailed as error:
            # Reached with `--batching on` only: a proof would have found it.
            self._said.append(f"model {self._file.name!r} failed at warm-up: {error.message}")
            self.single_run_s, self.full_batch_s = self.runs.median_s(1), self.runs.slowest_s
        if self._freed and self.full_batch_s > _GAIN_MIN * self._max_batch * self.single_run_s:
            self.rows_max, self.full_batch_s = 1, self.single_run_s

    def with_free_batch(self, open_copy: Callable[[bytes], Session]) -> Loading | None:
        """Try to make the fixed batch of 1 free: rows together must give what this model gives each alone.

        A model whose runs are slow is left as it is: the proof runs max-batch rows of it, and an item that
        keeps a core busy for so long gains little by company.

        Args:
            open_copy: Opens what stands in a model's file.

        Returns:
            The copy that batches, not warm yet. None where there is nothing to free, or where it is no use,
            of which `why_not` then tells.

        Raises:
            UsageError: The file changed meanwhile.
        """
        wanted = self.why_not and self.has_run and self.takes_one_item and not self._file.random
        if not wanted or self.single_run_s > _SLOW_ITEM_S:
            return None
        symbols = {dim for tensor in (*self.inputs, *self.outputs) for dim in tensor.shape}
        try:
            copy = free_copy(self._file, {dim for dim in symbols if isinstance(dim, str)})
            check_unchanged(self._file)
            if copy is None:
                return None
            session = open_copy(copy)
        except UsageError:
            raise
        except Exception as error:  # noqa: BLE001 - the border: onnxruntime's errors share no base class
            flaw = f"it cannot be loaded ({shorten(error)})"
        else:
            freed = Loading(self._file, session, self._max_batch, self.runs)
            freed.decide_batching("auto")
            if freed.batches:
                freed._freed = True
                return freed
            flaw = freed.why_not
        self.why_not = f"its batch is fixed at 1, and with a free one {flaw}"
        return None

    def _find_flaw(self) -> str:
        if self._file.random:
            return "it draws random numbers"
        if self._probe is None:
            return _NO_INPUT
        return self._prober.find_flaw(self._probe)
