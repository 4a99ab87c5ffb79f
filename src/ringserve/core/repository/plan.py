"""What is loaded, what is wanted, and the next step from the one to the other.

Theory of operation. `look` is told what the folder holds. `next_step` names one thing to do; whoever does it
reports `loaded`, `failed` or `unloaded`, and asks again until there is nothing to do. One step at a time:
only one model is ever there twice::

    look ──▶ next_step ──Load────▶ loaded: it serves; what it replaces is gone
                 ▲   │        └──▶ failed: not tried again before its files or options change, or `load` asks
                 └───┴──Unload──▶ unloaded

- What is wanted of a model are its latest version, or those its options name. A version that failed is not
  wanted: so the one before goes on serving, or is loaded where a worker begins with a broken one.
- Where a version's file was replaced and the new one fails, what was loaded from the old file stays.
- A new version is loaded before an old one is unloaded.
- Where the options are wrong, or two files claim the same version, everything stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ringserve.core.repository.layout import FoundModel, FoundVersion
from ringserve.core.repository.options import ALL, LATEST, ModelOptions

READY, LOADING, UNAVAILABLE = "READY", "LOADING", "UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model of the folder with its options.

    Attributes:
        found: Where its files are.
        options: Its options; those by default where there are none.
        problem: Why it cannot be served as it stands; empty where it can.
    """

    found: FoundModel
    options: ModelOptions
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One version to be served: equal only where files and options are."""

    name: str
    found: FoundVersion
    options: ModelOptions

    @property
    def version(self) -> int:
        """Its number."""
        return self.found.version


@dataclass(frozen=True, slots=True)
class Load:
    """Load this; what it replaces is unloaded once it serves."""

    wanted: Wanted


@dataclass(frozen=True, slots=True)
class Unload:
    """Stop serving this."""

    wanted: Wanted


@dataclass(frozen=True, slots=True)
class IndexRow:
    """A version as operators see it.

    Attributes:
        name: The model's.
        version: Its number as text; empty where the model has none that could be told.
        state: `READY`, `LOADING` or `UNAVAILABLE`.
        reason: What there is to know; empty where all is well.
    """

    name: str
    version: str
    state: str
    reason: str = ""


class Plan:
    """The models of one worker, wanted and loaded."""

    def __init__(self, carried: frozenset[str] = frozenset()) -> None:
        """Begin with nothing.

        Args:
            carried: The names that this worker serves; none for all.
        """
        self.carried = carried
        self._seen: dict[str, Candidate] = {}
        self._arriving: dict[str, Candidate | None] = {}
        self._off: set[str] = set()
        self._loaded: dict[str, dict[int, Wanted]] = {}
        self._failed: dict[tuple[str, int], tuple[Wanted, str]] = {}
        self._loading: Wanted | None = None

    # What the folder holds

    def look(self, candidates: Mapping[str, Candidate], *, only: str = "") -> None:
        """Take what the folder holds now as complete.

        Args:
            candidates: Its models by name.
            only: The one model that is looked at; empty for all.
        """
        for name in {*self._seen, *candidates} if not only else {only}:
            self._take(name, candidates.get(name))
        if not only:
            self._arriving.clear()

    def look_again(self, candidates: Mapping[str, Candidate]) -> None:
        """Take what the folder holds now where the last look saw the same: what changes is not complete.

        Call it at intervals that a copy does not pause for.
        """
        arriving: dict[str, Candidate | None] = {}
        for name in {*self._seen, *candidates}:
            now = candidates.get(name)
            if now == self._seen.get(name):
                continue
            if name in self._arriving and self._arriving[name] == now:
                self._take(name, now)
            else:
                arriving[name] = now
        self._arriving = arriving

    def _take(self, name: str, candidate: Candidate | None) -> None:
        if self.carried and name not in self.carried:
            return
        if candidate is None:
            self._seen.pop(name, None)
        else:
            self._seen[name] = candidate
        for key in [key for key in self._failed if key[0] == name]:
            if self._failed[key][0] not in self._all_of(candidate):
                del self._failed[key]

    # What somebody asks for by name

    def load(self, name: str) -> None:
        """Want this model, and try again what failed of it. Call `look` first."""
        self._off.discard(name)
        for key in [key for key in self._failed if key[0] == name]:
            del self._failed[key]

    def unload(self, name: str) -> None:
        """Want nothing of this model, until it is asked for again."""
        self._off.add(name)

    def knows(self, name: str) -> bool:
        """Whether there is anything to load or unload under this name."""
        return name in self._seen or name in self._loaded

    def trouble_with(self, name: str) -> str:
        """What keeps this model from being served as its files stand; empty where nothing does."""
        candidate = self._seen.get(name)
        if candidate is not None and candidate.problem:
            return candidate.problem
        failed = [
            (version, reason) for (other, version), (_, reason) in self._failed.items() if other == name
        ]
        return max(failed)[1] if failed else ""

    # Steps

    def next_step(self) -> Load | Unload | None:
        """The next thing to do; None where all is as it is wanted."""
        for name in sorted({*self._seen, *self._loaded}):
            wanted = {one.version: one for one in self._wanted(name)}
            loaded = self._loaded.get(name, {})
            for version, one in wanted.items():
                if loaded.get(version) != one:
                    self._loading = one
                    return Load(one)
            for version, one in loaded.items():
                if version not in wanted:
                    return Unload(one)
        return None

    def loaded(self, wanted: Wanted) -> None:
        """It serves, and what it replaces is gone."""
        self._loading = None
        self._loaded.setdefault(wanted.name, {})[wanted.version] = wanted

    def failed(self, wanted: Wanted, reason: str) -> None:
        """It could not be loaded."""
        self._loading = None
        self._failed[wanted.name, wanted.version] = wanted, reason

    def unloaded(self, wanted: Wanted) -> None:
        """It is gone."""
        versions = self._loaded[wanted.name]
        del versions[wanted.version]
        if not versions:
            del self._loaded[wanted.name]

    def _wanted(self, name: str) -> list[Wanted]:
        """What shall serve, in ascending order of versions."""
        candidate = self._seen.get(name)
        loaded = self._loaded.get(name, {})
        if candidate is None or name in self._off:
            return []
        if candidate.problem:
            return list(loaded.values())
        versions = candidate.options.versions
        possible = [self._possible(one, loaded) for one in self._all_of(candidate)]
        wanted = [one for one in possible if one is not None]
        if versions == LATEST:
            return wanted[-1:]
        return [one for one in wanted if versions == ALL or one.version in versions]

    def _possible(self, one: Wanted, loaded: Mapping[int, Wanted]) -> Wanted | None:
        """What can serve as this version: what stands there, or what was loaded before that failed."""
        failed = self._failed.get((one.name, one.version))
        return one if failed is None or failed[0] != one else loaded.get(one.version)

    @staticmethod
    def _all_of(candidate: Candidate | None) -> list[Wanted]:
        if candidate is None:
            return []
        found, options = candidate.found, candidate.options
        return [Wanted(found.name, version, options) for version in found.versions]

    # What operators see

    def rows(self) -> list[IndexRow]:
        """Every version there is or was asked for, in the order of names and numbers."""
        return [row for name in sorted({*self._seen, *self._loaded}) for row in self._rows_of(name)]

    def _rows_of(self, name: str) -> Iterator[IndexRow]:
        candidate = self._seen.get(name)
        loaded = self._loaded.get(name, {})
        problem = candidate.problem if candidate is not None else ""
        there = {one.version: one for one in self._all_of(candidate)}
        named = candidate.options.versions if candidate is not None else LATEST
        asked = named if isinstance(named, tuple) and not problem else ()
        versions = sorted({*there, *loaded, *asked})
        if not versions:
            yield IndexRow(name, "", UNAVAILABLE, problem)
        for version in versions:
            state, reason = self._state_of(name, version, there.get(version), loaded.get(version))
            yield IndexRow(name, str(version), state, reason or problem)

    def _state_of(
        self, name: str, version: int, there: Wanted | None, loaded: Wanted | None
    ) -> tuple[str, str]:
        _, failure = self._failed.get((name, version), (None, ""))
        if loaded is not None:
            return READY, failure and f"what was loaded before still serves: {failure}"
        if there is None:
            return UNAVAILABLE, "there is no such version in the folder"
        if failure:
            return UNAVAILABLE, failure
        if there == self._loading:
            return LOADING, ""
        if name in self._off:
            return UNAVAILABLE, "unloaded"
        others = ", ".join(str(other) for other in self._loaded.get(name, {}))
        return UNAVAILABLE, f"version {others} is served" if others else ""
