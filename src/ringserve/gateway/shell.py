"""A gateway put together: listener, router, links. It only moves bytes between them."""

from __future__ import annotations

import asyncio
import logging
from time import monotonic
from typing import TYPE_CHECKING

from ringserve.core.asked_model import find_offer
from ringserve.core.router.brain import Router
from ringserve.core.router.settings import RouterSettings
from ringserve.core.router.worker_state import Unready
from ringserve.errors import Draining, NoWorker, ServeError
from ringserve.net.ask_workers import control_all, count_all
from ringserve.net.listener import Listener
from ringserve.net.pages import describe_model
from ringserve.net.timer import Timer
from ringserve.observe.catalogue.gateway import GATEWAY
from ringserve.observe.catalogue.metric import Snapshot
from ringserve.observe.catalogue.server import SERVER
from ringserve.wire.infer_json import InferCodec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringserve.core.call import Call
    from ringserve.core.router.worker_state import Offer
    from ringserve.core.tensor import ModelSpec
    from ringserve.net.backend import Page
    from ringserve.net.link_client import LinkClient
    from ringserve.observe.catalogue.roles import Snapshots
    from ringserve.settings import Settings
    from ringserve.wire.oip_pages import ModelStatistics

log = logging.getLogger(__name__)
CODECS_MAX = 1024
"""Codecs kept, and what they were asked by."""


class GatewayShell:
    """The gateway's process, apart from its life cycle."""

    def __init__(self, settings: Settings, workers: Sequence[str]) -> None:
        """Begin with no link; whoever runs it keeps `links` filled."""
        self.settings = settings
        self.request_timeout_s = settings.request_timeout_ms / 1000
        self.pages: dict[str, Page] = {"/stats": self._stats, "/health": self._health, "/model": self._model}
        self.router = Router(
            workers,
            RouterSettings(
                virtual_nodes=settings.virtual_nodes,
                failure_threshold=settings.failure_threshold,
                success_threshold=settings.success_threshold,
                circuit_timeout_s=settings.circuit_timeout_s,
                hang_timeout_s=settings.hang_timeout_s,
            ),
            self,
        )
        self.links: dict[int, LinkClient] = {}
        self.listener = Listener(settings, self)
        self._codecs: dict[int, InferCodec] = {}
        self._found: dict[tuple[str, str], InferCodec] = {}
        self._generation: object = None
        self._draining = False
        self._loop = asyncio.get_running_loop()
        self._timer = Timer(self.router.tick, self.router.next_wake, settings.hang_timeout_s / 8)
        self._timer.start()

    # Backend

    def metrics(self, now: float) -> Snapshots:
        """What `GET /metrics` shows."""
        server = self.listener.statistics("gateway", self.state(), self.healthy())
        return [Snapshot(SERVER, server), Snapshot(GATEWAY, self.router.statistics(now))]

    def offers(self) -> Sequence[Offer]:
        """What requests may be sent to a worker for."""
        return self.router.models.offers(able=True)

    def unready(self) -> Sequence[Unready]:
        """What workers know of and nobody serves, and what only workers have that may be sent nothing."""
        models = self.router.models
        able = {(offer.spec.name, offer.spec.version) for offer in models.offers(able=True)}
        away = [
            Unready(
                offer.spec.name, offer.spec.version, "UNAVAILABLE", "no worker that has it may take requests"
            )
            for offer in models.offers()
            if (offer.spec.name, offer.spec.version) not in able
        ]
        return [*models.unready(), *away]

    async def control(self, action: str, name: str) -> None:
        """Let all linked workers load or unload a model; returns when each has answered.

        Raises:
            ServeError: One could not; the sentence names it. Where some did, others may not know the model.
        """
        await control_all(self._linked(), action, name)

    async def gather_statistics(self, specs: Sequence[ModelSpec]) -> list[ModelStatistics]:
        """What the linked workers count together."""
        return await count_all(self._linked(), specs)

    def codec(self, model: str = "", version: str = "") -> InferCodec:
        """The codec of a model that the fleet serves."""
        models = self.router.models
        if self._generation is not models.generation:
            self._found.clear()
            self._generation = models.generation
        return self._found.get((model, version)) or self._find_codec(model, version)

    def submit(self, call: Call, now: float) -> None:
        """Hand a call to the router."""
        if call.deadline < self._timer.at:
            self._timer.wake_by(call.deadline)
        self.router.submit(call, now)

    def cancel(self, call: Call) -> None:
        """The caller left."""
        self.router.cancel(call, monotonic())

    def link_protocol(self) -> None:
        """A gateway takes no links."""
        return

    # Ports

    def send(self, worker: int, call: Call) -> None:
        """Put the call on the worker's link."""
        self.links[worker].send(call)

    def cancel_on(self, worker: int, call_id: int) -> None:
        """Tell the worker that nobody waits."""
        self.links[worker].cancel(call_id)

    def ping(self, worker: int) -> None:
        """Ask for a sign of life."""
        self.links[worker].ping()

    def disconnect(self, worker: int) -> None:
        """Drop a link the router gave up."""
        self.links[worker].abort()

    def goodbye(self, worker: int) -> None:
        """Nothing of ours is left there."""
        self.links[worker].goodbye()

    def say(self, sentence: str) -> None:
        """Tell the operator."""
        log.warning("%s", sentence)

    # Life

    def state(self) -> str:
        """`starting`, `ready` or `draining`."""
        if self._draining:
            return "draining"
        return "ready" if self.workers_up() else "starting"

    def healthy(self) -> bool:
        """A gateway whose loop turns is well."""
        return True

    def workers_up(self) -> int:
        """Workers with a link."""
        return sum(worker.link_up for worker in self.router.workers)

    def incarnations(self) -> tuple[str, ...]:
        """Those of the workers with a link."""
        return tuple(worker.incarnation for worker in self.router.workers if worker.link_up)

    def pending(self) -> int:
        """Calls without an answer."""
        return self.router.pending

    def stop_being_ready(self) -> None:
        """Step 1 of a drain."""
        self._draining = True

    def go_away(self) -> None:
        """Nobody holds a link to a gateway."""

    def gone(self) -> bool:
        """Nobody holds a link to a gateway."""
        return True

    def give_up(self) -> None:
        """The drain took too long."""
        self.router.fail_all(
            Draining("the gateway stops and could not finish this request", 1.0), monotonic()
        )

    def _find_codec(self, model: str, version: str) -> InferCodec:
        models = self.router.models
        offers = models.offers()
        if not offers and not self.workers_up():
            raise NoWorker(f"no worker is connected ({len(self.router.workers)} configured)", 1.0)
        spec = find_offer(model, version, offers, models.unready(), self.settings.default_model).spec
        codec = self._codecs.get(id(spec))
        if codec is None or codec.spec is not spec:
            if len(self._codecs) >= CODECS_MAX:
                self._codecs.clear()
            codec = self._codecs[id(spec)] = InferCodec(spec)
        if len(self._found) < CODECS_MAX:
            self._found[model, version] = codec
        return codec

    def _linked(self) -> list[LinkClient]:
        return [self.links[worker.index] for worker in self.router.workers if worker.link_up]

    # Pages

    def _stats(self) -> tuple[int, dict[str, object]]:
        now, router = monotonic(), self.router
        breakers: list[dict[str, object]] = [
            {
                "node": worker.address,
                "state": worker.breaker.state_at(now).name,
                "failures": worker.breaker.failures,
                "successes": worker.breaker.successes,
                "node_id": worker.node_id,
                "link": worker.link_state,
                "in_flight": len(worker.in_flight),
                "requests": worker.requests,
                "spilled": worker.spilled,
            }
            for worker in router.workers
        ]
        return 200, {
            "total_workers": len(router.workers),
            "circuit_breakers": breakers,
            "accepted": router.accepted,
            "finished": router.finished,
            "pending": router.pending,
            "moved": router.moved,
            "late": router.late,
            "models": [
                {
                    "name": model.name,
                    "version": model.version,
                    "digest": model.digest,
                    "served": model.taken,
                    "default": model.default,
                    "workers": model.workers,
                    "workers_able": model.able,
                }
                for model in router.statistics(now).models
            ],
        }

    def _health(self) -> tuple[int, dict[str, object]]:
        healthy = self.state() == "ready"
        page: dict[str, object] = {
            "healthy": healthy,
            "state": self.state(),
            "workers_up": self.workers_up(),
            "total_workers": len(self.router.workers),
        }
        return (200 if healthy else 503), page

    def _model(self) -> tuple[int, dict[str, object]]:
        try:
            return describe_model(self.codec().spec)
        except NoWorker:
            return describe_model(None)
        except ServeError as error:
            return error.status, {"error": error.message}
