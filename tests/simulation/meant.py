"""Which file a request was sent for, told from what workers last said, without the router's own tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringserve.core.call import Call
    from ringserve.core.router.worker_state import Offer, WorkerState
    from tests.simulation.models import Place

Instance = tuple[str, str, str]


def instance_of(offer: Offer) -> Instance:
    """Name, version and file."""
    return offer.spec.name, offer.spec.version, offer.spec.digest


def sent_for(worker: WorkerState, call: Call) -> Instance | None:
    """What a call that is with a worker is for; None where the worker has it no more."""
    for offer in worker.offers:
        if offer.number == call.model_number:
            return instance_of(offer)
    return None


def has(worker: WorkerState, instance: Instance | None) -> bool:
    """Whether a worker last said that it has this."""
    return any(instance_of(offer) == instance for offer in worker.offers)


def is_with(worker: WorkerState, call: Call, instance: Instance | None) -> bool:
    """Whether another call of this key and for this instance is with the worker."""
    return any(
        other.key == call.key and other is not call and sent_for(worker, other) == instance
        for other in worker.in_flight.values()
    )


def means(asked: Place, offer: Offer) -> bool:
    """Whether a request for this name and version may mean what is offered."""
    name, version = asked
    return offer.spec.name == name and (offer.default if not version else offer.spec.version == version)


def best(workers: list[WorkerState], name: str, version: str) -> set[Instance]:
    """The instances that most connected workers mean by this; several in a draw."""
    votes: dict[Instance, int] = {}
    for worker in workers:
        for offer in worker.offers if worker.link_up and not worker.going_away else ():
            if means((name, version), offer):
                votes[instance_of(offer)] = votes.get(instance_of(offer), 0) + 1
    return {instance for instance, count in votes.items() if count == max(votes.values())}
