"""The models that a worker serves now: found by number, by name, or as the one that is meant by none."""

from __future__ import annotations

import asyncio
from collections import Counter
from time import monotonic
from typing import TYPE_CHECKING

from ringserve.core.asked_model import no_model_named, no_such_model, no_such_version
from ringserve.core.batcher import CutReason
from ringserve.core.router.worker_state import Offer
from ringserve.errors import BadRequest, ModelGone, NotFound, UsageError
from ringserve.worker.served import Served

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ringserve.core.call import Call
    from ringserve.engine.session import Engine
    from ringserve.errors import ServeError
    from ringserve.settings import Settings

NUMBER_MAX = 0xFFFF
"""What the number of a model may be on the link."""


class Shelf:
    """What is served.

    A model that is taken off is not found any more but by its number, until it is ended: gateways that have
    not heard of it still send it calls.

    Attributes:
        unnamed: The one that is meant where none is named; None where that is not clear.
    """

    def __init__(self, worker: str, default_model: str) -> None:
        """Begin empty.

        Args:
            worker: The worker's name.
            default_model: The name of the model that is meant where none is named; empty for the only one.
        """
        self._worker = worker
        self._default = default_model
        self._numbers = 0
        self._all: dict[int, Served] = {}
        self._offered: dict[tuple[str, str], Served] = {}
        self._routes: dict[tuple[str, str], Served] = {}
        self.unnamed: Served | None = None
        self._due: list[Served] = []
        self._waiting: dict[int, Served] = {}
        self._flush_comes = False
        self._past: Counter[str] = Counter()
        self._loop = asyncio.get_running_loop()

    def __len__(self) -> int:
        """How many are loaded, those that are taken off included."""
        return len(self._all)

    def __iter__(self) -> Iterator[Served]:
        """All that are loaded."""
        return iter(self._all.values())

    # What is there

    def add(self, engine: Engine, settings: Settings) -> Served | None:
        """Serve a model from now on.

        Returns:
            What was served under the same name and version before: `end` that. None where nothing was.

        Raises:
            UsageError: This process has served so many that there is no number for it.
        """
        if self._numbers == NUMBER_MAX:
            raise UsageError(f"this worker has loaded {NUMBER_MAX} models in its life; start it anew")
        self._numbers += 1
        served = Served(self._numbers, engine, settings, self._worker, self._queue)
        self._all[served.number] = served
        place = engine.spec.name, engine.spec.version
        former = self._offered.get(place)
        self._offered[place] = served
        self._arrange()
        return former

    def take_off(self, name: str, version: str) -> Served | None:
        """Offer a model no more; `end` it then."""
        served = self._offered.pop((name, version), None)
        self._arrange()
        return served

    def end(self, served: Served) -> None:
        """Forget a model that is offered no more; nothing of it may be pending."""
        self._past.update(_counts(served))
        del self._all[served.number]
        self._waiting.pop(served.number, None)
        self._due = [one for one in self._due if one is not served]
        served.end()

    def _arrange(self) -> None:
        """Work out who serves whom: of each name the latest version serves those who name none."""
        routes = dict(self._offered)
        for (name, version), served in self._offered.items():
            latest = routes.get((name, ""))
            if latest is None or int(version) > int(latest.spec.version):
                routes[name, ""] = served
        self._routes = routes
        name = self._default or next(iter(self._names()), "")
        alone = bool(self._default) or len(self._names()) == 1
        self.unnamed = routes.get((name, "")) if alone else None

    def _names(self) -> list[str]:
        return list(dict.fromkeys(name for name, _ in self._offered))

    # Who serves whom

    def offers(self) -> Sequence[Offer]:
        """What is offered, in the order of names and versions."""
        rows = sorted(self._offered.values(), key=lambda one: (one.spec.name, int(one.spec.version)))
        return [Offer(one.number, one.spec, default=self._routes[one.spec.name, ""] is one) for one in rows]

    def offered(self, name: str, version: str) -> Served | None:
        """What is offered under this name and version."""
        return self._offered.get((name, version))

    def find(self, name: str = "", version: str = "") -> Served:
        """The model that serves a request which names this one.

        Raises:
            NotFound: There is none.
            BadRequest: None is named, and there are several.
        """
        served = self._routes.get((name, version)) if name else self.unnamed
        if served is None or (version and not name):
            served = self._find_strictly(name or self._default, version)
        return served

    def _find_strictly(self, name: str, version: str) -> Served:
        names = self._names()
        if not names:
            raise NotFound("no model is served here now")
        if not name and len(names) > 1:
            raise BadRequest(no_model_named(names))
        name = name or names[0]
        served = self._routes.get((name, version))
        if served is None and name in names:
            raise NotFound(no_such_version(name, version, [v for n, v in self._offered if n == name]))
        if served is None:
            raise NotFound(no_such_model(name, names))
        return served

    def find_for(self, call: Call) -> Served:
        """The model that a call from a connection is for.

        Where the model was exchanged while the request was read, it is held against the new one.

        Raises:
            NotFound: There is none any more.
            BadRequest: It does not fit the new one.
        """
        signature = call.signature
        served = self._routes.get((signature.model, signature.version))
        if served is None:
            served = self._find_strictly(signature.model, signature.version)
        call.signature = served.signatures.find(signature.encoded)
        call.model_number = served.number
        return served

    def numbered(self, number: int) -> Served:
        """The model of a number.

        Raises:
            ModelGone: It is loaded no more.
        """
        served = self._all.get(number)
        if served is None:
            raise ModelGone(f"worker {self._worker} has no model of number {number} any more")
        return served

    def cancel(self, call: Call) -> None:
        """Forget a call that `find_for` found the model of."""
        served = self._all.get(call.model_number)
        if served is not None:
            served.node.cancel(call)

    # What they do together

    @property
    def depth(self) -> int:
        """Rows that wait. Every frame of answers tells it, so what has nothing to run is not asked."""
        waiting = self._waiting
        for served in self._due:
            waiting[served.number] = served
        return sum([served.node.depth for served in waiting.values()])

    @property
    def pending(self) -> int:
        """Calls without an answer."""
        return sum(served.node.pending for served in self._all.values())

    @property
    def runs_finished(self) -> int:
        """Runs that ended, of all models there ever were."""
        return self._past["runs"] + sum(served.node.runs_finished for served in self._all.values())

    @property
    def slowest_run_s(self) -> float:
        """The slowest run of all models, in seconds."""
        return max((served.node.slowest_run_s for served in self._all.values()), default=0.0)

    def is_running(self) -> bool:
        """Whether a run goes on."""
        return any(served.node.is_running for served in self._all.values())

    def worst_run(self, now: float) -> tuple[float, float]:
        """The age of the run that is furthest beyond its limit, and its model's slowest run; in seconds."""
        ages = [(one.node.oldest_run_s(now), one) for one in self._all.values() if one.node.is_running]
        if not ages:
            return 0.0, self.slowest_run_s
        age_s, served = max(ages, key=lambda pair: pair[0] / pair[1].run_limit_s())
        return age_s, served.node.slowest_run_s

    def healthy(self, now: float) -> bool:
        """Whether no run is past its limit."""
        return all(one.node.oldest_run_s(now) <= one.run_limit_s() for one in self._all.values())

    def fail_all(self, error: ServeError) -> None:
        """Fail every call that waits."""
        for served in self._all.values():
            served.node.fail_all(error)

    def counts(self) -> Counter[str]:
        """What `/health` tells, of all models there ever were."""
        total = Counter(self._past)
        for served in self._all.values():
            total.update(_counts(served))
        return total

    # Runs

    def flush(self, now: float) -> None:
        """Give the engines what there is."""
        due, self._due = self._due, []
        waiting = self._waiting
        for served in due:
            served.flush(now)
            if served.node.depth:
                waiting[served.number] = served
            elif waiting:
                waiting.pop(served.number, None)

    def _queue(self, served: Served) -> None:
        self._due.append(served)
        if not self._flush_comes:
            self._flush_comes = True
            self._loop.call_soon(self._flush_soon)

    def _flush_soon(self) -> None:
        self._flush_comes = False
        if self._due:
            self.flush(monotonic())


def _counts(served: Served) -> dict[str, int]:
    node = served.node
    return {
        "accepted": node.accepted,
        "hits": node.cache.hits,
        "runs": node.runs_finished,
        "items": node.items_cut,
        "joins": node.joins,
        **{reason.value: node.cuts[reason] for reason in CutReason},
    }
