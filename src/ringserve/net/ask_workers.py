"""What a gateway asks of all its workers beside requests: to change their models, and what they count."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ringserve.errors import NotFound, NoWorker, ServeError
from ringserve.wire.control import STATISTICS
from ringserve.wire.frames import LinkError
from ringserve.wire.model_counts import decode_counts, sum_of
from ringserve.wire.oip_pages import ModelStatistics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringserve.core.tensor import ModelSpec
    from ringserve.net.link_client import LinkClient

    Counts = dict[tuple[str, str, str], ModelStatistics]

COUNT_WITHIN_S = 1.0
"""How long a worker may take to tell what it counts; without it the others' sum is shown."""


async def control_all(links: Sequence[LinkClient], action: str, name: str) -> None:
    """Let all workers load or unload a model; returns when each has answered.

    Args:
        links: To the workers.
        action: `load` or `unload`.
        name: Of the model.

    Raises:
        ServeError: The first worker's that could not, with its address. That one does not know the model
            counts only where none does.
    """
    if not links:
        raise NoWorker(f"no worker is connected that could {action} a model", 1.0)
    outcomes: list[ServeError | None] = [None] * len(links)

    async def ask(index: int, link: LinkClient) -> None:
        try:
            await link.control(action, name)
        except ServeError as error:
            outcomes[index] = type(error)(f"worker {link.address}: {error.message}", error.retry_after_s)

    async with asyncio.TaskGroup() as tasks:
        for index, link in enumerate(links):
            tasks.create_task(ask(index, link), name=f"{action} at {link.address}")
    errors = [error for error in outcomes if error is not None]
    unknown = [error for error in errors if isinstance(error, NotFound)]
    serious = errors if len(unknown) == len(outcomes) else [e for e in errors if not isinstance(e, NotFound)]
    if serious:
        raise serious[0]


async def count_all(links: Sequence[LinkClient], specs: Sequence[ModelSpec]) -> list[ModelStatistics]:
    """What the workers count of each model together; one that is late or fails is left out."""
    counts: list[Counts] = []

    async def ask(link: LinkClient) -> None:
        try:
            async with asyncio.timeout(COUNT_WITHIN_S):
                counts.append(decode_counts(await link.control(STATISTICS, "")))
        except (ServeError, LinkError, TimeoutError):
            return  # the page shows what the others count

    async with asyncio.TaskGroup() as tasks:
        for link in links:
            tasks.create_task(ask(link), name=f"count at {link.address}")
    nothing = ModelStatistics(0, 0.0, 0)
    places = [(spec.name, spec.version, spec.digest) for spec in specs]
    return [sum_of([one.get(place, nothing) for one in counts] or [nothing]) for place in places]
