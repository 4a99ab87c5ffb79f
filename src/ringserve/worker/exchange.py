"""Doing the steps of a plan: a model is loaded and put on the shelf, another taken off, drained and let go.

One step at a time, so that only one model is ever loaded beside those that serve; whatever blocks goes to a
thread.
"""

from __future__ import annotations

import asyncio
import logging
from time import monotonic
from typing import TYPE_CHECKING

from ringserve.core.repository.plan import Load
from ringserve.errors import ModelGone, UsageError
from ringserve.limits import MODELS_MAX
from ringserve.net.memory import give_back_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from ringserve.core.repository.options import ModelOptions
    from ringserve.core.repository.plan import Plan, Wanted
    from ringserve.engine.session import Engine
    from ringserve.settings import Settings
    from ringserve.worker.folder import Folder
    from ringserve.worker.served import Served
    from ringserve.worker.shelf import Shelf

    Say = Callable[[str], None]
    Open = Callable[[Wanted, str], Engine | None]
    """Loads a model, in a thread; None where its file has this digest, of what serves already under the same
    options. Raises UsageError."""

log = logging.getLogger(__name__)
DRAIN_POLL_S = 0.02
LAST_RUN_S = 5.0
"""How long the end of a run is waited for that nobody waits for."""


class Exchange:
    """Brings a shelf to what a plan wants.

    Attributes:
        is_loading: Whether a model is being loaded; that goes on in its thread if whoever waits is cancelled.
    """

    def __init__(
        self,
        settings: Settings,
        folder: Folder,
        shelf: Shelf,
        open_model: Open,
        say: Say,
        changed: Callable[[], None],
    ) -> None:
        """Begin with nothing loaded.

        Args:
            settings: Of the worker.
            folder: Where the models are.
            shelf: What serves them.
            open_model: Loads one.
            say: Takes lines for the operator.
            changed: Is called whenever something else is offered, or why something is not.
        """
        self._settings = settings
        self._folder = folder
        self._shelf = shelf
        self._open = open_model
        self._say = say
        self._changed = changed
        self._options: dict[tuple[str, str], ModelOptions] = {}
        self.is_loading = False

    async def do_steps(self, plan: Plan) -> None:
        """Do what there is to do until nothing is."""
        while (step := plan.next_step()) is not None:
            self._changed()
            if isinstance(step, Load):
                await self._load(plan, step.wanted)
            else:
                await self._unload(step.wanted)
                plan.unloaded(step.wanted)
        self._changed()

    async def _load(self, plan: Plan, wanted: Wanted) -> None:
        place = wanted.name, str(wanted.version)
        try:
            former = await self._put(wanted)
        except UsageError as error:
            plan.failed(wanted, str(error).replace(f"{self._folder.path}/", ""))
            if not self._says_so_at_its_end():
                self._say(f"model {place[0]!r} version {place[1]} is not served: {error}")
            return
        except Exception as error:
            log.exception("a model could not be loaded in an unforeseen way")
            plan.failed(wanted, f"it could not be loaded: {type(error).__name__}; the log says more")
            return
        self._options[place] = wanted.options
        self._changed()
        if former is not None:
            await self._end(former)
        plan.loaded(wanted)

    def _says_so_at_its_end(self) -> bool:
        """Whether the worker ends now, with this error as its last line."""
        alone = not self._folder.is_folder and not len(self._shelf)
        return alone and self._settings.model_control == "none"

    async def _put(self, wanted: Wanted) -> Served | None:
        """Load a model and put it on the shelf; returns what it takes the place of."""
        served = self._shelf.offered(wanted.name, str(wanted.version))
        if len(self._shelf) >= MODELS_MAX and served is None:
            raise UsageError(f"this worker serves {MODELS_MAX} models already; unload one of them")
        self.is_loading = True
        try:
            engine = await asyncio.to_thread(self._open, wanted, self._digest_of(served, wanted))
        finally:
            self.is_loading = False
        if engine is None:
            return None
        return self._shelf.add(engine, wanted.options.applied_to(self._settings))

    def _digest_of(self, served: Served | None, wanted: Wanted) -> str:
        """The digest of what is served already with the same options; empty where nothing is."""
        if served is None or self._options[wanted.name, str(wanted.version)] != wanted.options:
            return ""
        return served.spec.digest

    async def _unload(self, wanted: Wanted) -> None:
        served = self._shelf.take_off(wanted.name, str(wanted.version))
        self._changed()
        if served is not None:
            await self._end(served)

    async def _end(self, served: Served) -> None:
        """Wait until everything is answered that was sent to a model, then free its memory."""
        node, until = served.node, monotonic() + self._settings.drain_timeout_s
        while monotonic() < until:
            if not (node.pending or node.is_running):
                break
            await asyncio.sleep(DRAIN_POLL_S)
        node.fail_all(ModelGone("the model was unloaded before it could answer this request"))
        self._shelf.end(served)
        if not await asyncio.to_thread(_release, served):
            spec = served.spec
            self._say(f"model {spec.name!r} version {spec.version}: a run hangs, so its memory stays taken")


def _release(served: Served) -> bool:
    released = served.release(LAST_RUN_S)
    give_back_memory()
    return released
