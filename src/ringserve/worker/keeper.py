"""Keeping what a worker serves in step with its folder: looking, and doing what callers ask for.

Everything happens in one task, one thing after the other. What is to be done is decided in
`core.repository.plan`, and done in `exchange`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringserve.core.repository.plan import LOADING, READY, UNAVAILABLE, Plan
from ringserve.core.router.worker_state import Unready
from ringserve.errors import (
    BadRequest,
    Draining,
    MethodNotAllowed,
    NotFound,
    NotReady,
    QueueFull,
    ServeError,
    UsageError,
)
from ringserve.wire.control import LOAD, UNLOAD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ringserve.core.repository.plan import Candidate
    from ringserve.settings import Settings
    from ringserve.worker.exchange import Exchange, Say
    from ringserve.worker.folder import Folder
    from ringserve.worker.shelf import Shelf

JOBS_MAX = 256
_NAMES_SHOWN_MAX = 10


@dataclass(slots=True)
class _Job:
    """Something that a caller asked for."""

    action: str
    name: str
    done: asyncio.Future[None]


class Keeper:
    """Serves what a folder holds."""

    def __init__(
        self, settings: Settings, folder: Folder, shelf: Shelf, exchange: Exchange, say: Say
    ) -> None:
        """Begin with nothing loaded; call `begin` and then `keep`.

        Args:
            settings: Of the worker.
            folder: Where the models are.
            shelf: What serves them.
            exchange: Puts them there and takes them off.
            say: Takes lines for the operator.
        """
        self._settings = settings
        self._folder = folder
        self._shelf = shelf
        self._exchange = exchange
        self._say = say
        self._plan = Plan(frozenset(filter(None, (name.strip() for name in settings.models.split(",")))))
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue(JOBS_MAX)
        self._told = ""

    # What operators and callers see

    def unready(self) -> list[Unready]:
        """What is known of and not served, or not as its files stand."""
        rows = []
        for row in self._plan.rows():
            ready = self._shelf.offered(row.name, row.version) is not None
            if not ready or row.reason:
                state = UNAVAILABLE if row.state == READY else row.state
                rows.append(Unready(row.name, row.version, state, row.reason))
        return rows

    def why_not(self, name: str, version: str, error: ServeError) -> ServeError:
        """Why a model is not served that callers do not find: it may only not be ready."""
        for row in self._plan.rows():
            if row.name == name and version in ("", row.version):
                if row.state == LOADING:
                    return NotReady(f"model {name!r} is still loading", 1.0)
                if row.state == UNAVAILABLE and row.reason and row.reason == self._plan.trouble_with(name):
                    return NotReady(f"model {name!r} is not ready: {row.reason}")
        return error

    # Steps

    async def begin(self) -> None:
        """Load what the folder holds.

        Raises:
            UsageError: It cannot be read, holds no model, or the only one cannot be loaded.
        """
        candidates = await self._look()
        fixed = self._settings.model_control == "none"
        missing = sorted(self._plan.carried - set(candidates))
        if missing and fixed:
            raise UsageError(f"--models {missing[0]}: {self._folder.path} holds {_listed(candidates)}")
        self._plan.look(candidates)
        await self._exchange.do_steps(self._plan)
        if not len(self._shelf) and fixed:
            raise UsageError(self._why_none())

    def _why_none(self) -> str:
        rows = self._plan.rows()
        if not self._folder.is_folder:
            return rows[0].reason
        if rows:
            return f"no model of {self._folder.path} can be served; the lines above say why"
        return (
            f"{self._folder.path} holds no model; put NAME.onnx or NAME/model.onnx there, or start with "
            "--model-control poll"
        )

    async def keep(self) -> None:
        """Look for changes and do what callers ask for, until cancelled."""
        poll_s = self._settings.poll_s if self._settings.model_control == "poll" else None
        try:
            while True:
                try:
                    async with asyncio.timeout(poll_s):
                        job = await self._jobs.get()
                except TimeoutError:
                    await self._poll()
                else:
                    await self._do_job(job)
        finally:
            while not self._jobs.empty():
                _fail(self._jobs.get_nowait(), Draining("the worker stops", 1.0))

    async def control(self, action: str, name: str) -> None:
        """Load or unload a model for a caller; returns when it is done.

        Raises:
            MethodNotAllowed: This worker does not do that.
            NotFound: There is no such model.
            BadRequest: It cannot be loaded; the sentence says why.
            QueueFull: Too many wait for such a thing.
        """
        await asyncio.shield(self._add_job(action, name).done)

    def take_control(self, action: str, name: str, done: Callable[[str | ServeError], None]) -> None:
        """The same for a gateway: `done` is called with an empty text, or with the error."""
        try:
            job = self._add_job(action, name)
        except ServeError as error:
            done(error)
            return

        def tell(ended: asyncio.Future[None]) -> None:
            error = ended.exception()
            done(error if isinstance(error, ServeError) else "")

        job.done.add_done_callback(tell)

    def _add_job(self, action: str, name: str) -> _Job:
        if self._settings.model_control != "explicit" or action not in (LOAD, UNLOAD):
            raise MethodNotAllowed(
                "this server does not load or unload models for callers; start it with "
                "--model-control explicit"
            )
        job = _Job(action, name, asyncio.get_running_loop().create_future())
        job.done.add_done_callback(asyncio.Future.exception)  # the caller may have left
        try:
            self._jobs.put_nowait(job)
        except asyncio.QueueFull:
            raise QueueFull(f"{JOBS_MAX} models wait to be loaded or unloaded already", 1.0) from None
        return job

    async def _do_job(self, job: _Job) -> None:
        try:
            await self._load_or_unload(job)
        except (UsageError, ServeError) as error:
            _fail(job, BadRequest(str(error)) if isinstance(error, UsageError) else error)
        except BaseException:
            _fail(job, Draining("the worker stops", 1.0))
            raise
        if not job.done.done():
            job.done.set_result(None)

    async def _load_or_unload(self, job: _Job) -> None:
        plan, name = self._plan, job.name
        candidates = await self._look()
        known = [one for one in candidates if not plan.carried or one in plan.carried]
        if name not in known and not plan.knows(name):
            raise NotFound(
                f"there is no model {name[:100]!r} to {job.action}; the folder holds {_listed(known)}"
            )
        if job.action == UNLOAD:
            plan.unload(name)
        else:
            plan.look(candidates, only=name)
            plan.load(name)
        await self._exchange.do_steps(self._plan)
        trouble = plan.trouble_with(name) if job.action == LOAD else ""
        if trouble:
            raise BadRequest(f"model {name!r} was not loaded: {trouble}")

    async def _poll(self) -> None:
        try:
            candidates = await self._look()
        except UsageError as error:
            if str(error) != self._told:
                self._told = str(error)
                self._say(f"{error}; what is loaded goes on serving")
            return
        self._told = ""
        self._plan.look_again(candidates)
        await self._exchange.do_steps(self._plan)

    async def _look(self) -> Mapping[str, Candidate]:
        return await asyncio.to_thread(self._folder.look)


def _listed(names: Iterable[str]) -> str:
    """What a folder holds, in a sentence; of many models the first ones."""
    found = [repr(name) for name in names]
    more = f" and {len(found) - _NAMES_SHOWN_MAX} more" if len(found) > _NAMES_SHOWN_MAX else ""
    return (", ".join(found[:_NAMES_SHOWN_MAX]) or "no model") + more


def _fail(job: _Job, error: ServeError) -> None:
    if not job.done.done():
        job.done.set_exception(error)
