"""Which models the fleet serves, on which workers each is, and which of them a request means.

An *instance* is one file under one name and version: two workers whose files differ have two instances. Each
has a ring of its own over the workers that have it, so that losing one moves only the keys of the models it
had; a worker whose link is down keeps its place, and so does one that never greeted. Each has a table of its
own of the keys in flight, since answers of two instances are never mixed.

A request that names no version gets the instance that most connected workers take for it, one that names a
version the instance of that version that most have; in a draw, the one taken so far. So in the middle of a
roll-out the majority decides, for all requests alike.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ringserve.core.asked_model import why_none
from ringserve.core.ring import Ring
from ringserve.core.router.balance import Balance
from ringserve.core.router.worker_state import Offer, Unready
from ringserve.errors import NoWorker

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ringserve.core.router.loads import Loads
    from ringserve.core.router.worker_state import WorkerState
    from ringserve.core.signature import Signature
    from ringserve.core.tensor import ModelSpec
    from ringserve.errors import ServeError

    Instance = tuple[str, str, str]
    Asked = tuple[str, str]
    Votes = dict[Asked, dict[Instance, int]]

KNOWN_MAX = 4096
"""Signatures whose instance is remembered."""


class Models:
    """The instances, and what requests mean.

    Attributes:
        places: By signature, where its requests are balanced: what `find` found since the last change.
        generation: Another object after each change.
        ring: Of all workers.
    """

    __slots__ = (
        "_instances",
        "_loads",
        "_rings",
        "_taken",
        "_virtual_nodes",
        "_workers",
        "generation",
        "places",
        "ring",
    )

    def __init__(self, workers: Sequence[WorkerState], virtual_nodes: int, loads: Loads) -> None:
        """Begin with no model."""
        self.places: dict[Signature, Balance] = {}
        self.generation = object()
        self._workers = workers
        self._virtual_nodes = virtual_nodes
        self._loads = loads
        self._instances: dict[Instance, Balance] = {}
        self._taken: dict[Asked, Balance] = {}
        self._rings: dict[tuple[int, ...], Ring] = {}
        self.ring = self._ring_of(tuple(range(len(workers))))

    def find(self, signature: Signature) -> Balance | None:
        """The instance that a request means; None where there is none."""
        balance = self._taken.get((signature.model, signature.version))
        if balance is not None:
            if len(self.places) >= KNOWN_MAX:
                self.places.clear()
            self.places[signature] = balance
        return balance

    def taken(self, name: str, version: str = "") -> Balance | None:
        """The instance that a request for this name and version means; None where there is none."""
        return self._taken.get((name, version))

    def why_none(self, name: str, version: str) -> ServeError:
        """What to answer where there is none."""
        if not any(worker.link_up for worker in self._workers):
            return NoWorker(f"no worker is connected ({len(self._workers)} configured)", 1.0)
        return why_none(name, version, self.offers(), self.unready())

    def offers(self, *, able: bool = False) -> list[Offer]:
        """What is served, in the order of the workers; the numbers mean nothing.

        Args:
            able: Leave out what only workers have that may be sent nothing now.
        """
        return [
            Offer(0, balance.spec, self._taken.get((name, "")) is balance)
            for (name, version), balance in self._taken.items()
            if version and (balance.able or not able)
        ]

    def unready(self) -> list[Unready]:
        """What connected workers know of and nobody serves."""
        found: dict[Asked, Unready] = {}
        for worker in self._workers:
            for model in worker.unready if worker.link_up else ():
                if (model.name, model.version or "?") not in self._taken:
                    found.setdefault((model.name, model.version), model)
        return list(found.values())

    def flights(self) -> int:
        """How many keys are in flight, for checks and metrics."""
        return sum(balance.flights() for balance in self._instances.values())

    def instances(self) -> Iterable[Balance]:
        """All that are served or have requests in flight."""
        return self._instances.values()

    def recount(self) -> None:
        """Look again at who is able."""
        self._loads.recount()
        for balance in self._instances.values():
            balance.recount()

    def refresh(self) -> list[str]:
        """Look again at who is connected and what each offers; returns what the operator must be told."""
        self.generation = object()
        self.places.clear()
        self._place_all()
        self._vote()
        self.recount()
        return [sentence for worker in self._workers for sentence in self._foreign(worker)]

    def _place_all(self) -> None:
        """Put each instance on the workers whose last word was that they have it."""
        numbers: dict[Instance, list[int]] = {}
        specs: dict[Instance, ModelSpec] = {}
        nobody = [0] * len(self._workers)
        for worker in self._workers:
            for offer in worker.offers:
                name = _name(offer)
                specs.setdefault(name, offer.spec)
                numbers.setdefault(name, nobody.copy())[worker.index] = offer.number
        unknown = {worker.index for worker in self._workers if worker.hello is None}
        for instance, balance in list(self._instances.items()):
            if instance not in numbers and not balance.flights():
                del self._instances[instance]
        rings = {}
        for instance, its in numbers.items():
            balance = self._instances.get(instance) or Balance(specs[instance], self._loads)
            self._instances[instance] = balance
            had = [worker for worker in self._workers if its[worker.index] or worker.index in unknown]
            members = tuple(worker.index for worker in had)
            rings[members] = self._rings.get(members)
            balance.place(had, its, partial(self._ring_of, members))
        everybody = tuple(range(len(self._workers)))
        kept = {members: ring for members, ring in rings.items() if ring is not None}
        self._rings = {everybody: self.ring, **kept}

    def _ring_of(self, members: tuple[int, ...]) -> Ring:
        ring = self._rings.get(members)
        if ring is None:
            addresses = [self._workers[index].address for index in members]
            ring = self._rings[members] = Ring(addresses, self._virtual_nodes)
        return ring

    def _vote(self) -> None:
        """Choose an instance for each name and version that may be asked for."""
        connected: Votes = {}
        others: Votes = {}
        for worker in self._workers:
            votes = connected if worker.link_up and not worker.going_away else others
            for offer in worker.offers:
                instance = _name(offer)
                _count(votes, (offer.spec.name, offer.spec.version), instance)
                if offer.default:
                    _count(votes, (offer.spec.name, ""), instance)
        before, self._taken = self._taken, {}
        for asked, counts in (others | connected).items():
            most = max(counts.values())
            best = [self._instances[instance] for instance, count in counts.items() if count == most]
            current = before.get(asked)
            # Where nobody connected has it, there is no majority: what was taken stays.
            stays = current in best or (asked not in connected and _is_among(current, counts))
            self._taken[asked] = current if stays and current is not None else best[0]

    def _foreign(self, worker: WorkerState) -> list[str]:
        """Note which of a worker's files differ from those of most; returns a sentence for each new one."""
        foreign = []
        for offer in worker.offers if worker.link_up and not worker.going_away else ():
            asked = offer.spec.name, offer.spec.version
            if self._taken[asked].spec.digest != offer.spec.digest:
                foreign.append(asked)
        new = [asked for asked in foreign if asked not in worker.foreign]
        worker.foreign = tuple(foreign)
        return [
            f"worker {worker.address} has another file of model {name} version {version} than most: "
            "it gets no requests for it"
            for name, version in new
        ]


def _name(offer: Offer) -> Instance:
    return offer.spec.name, offer.spec.version, offer.spec.digest


def _count(votes: Votes, asked: Asked, instance: Instance) -> None:
    counts = votes.setdefault(asked, {})
    counts[instance] = counts.get(instance, 0) + 1


def _is_among(balance: Balance | None, counts: dict[Instance, int]) -> bool:
    return balance is not None and (balance.spec.name, balance.spec.version, balance.spec.digest) in counts
