"""Loading one model as its owner and the worker's settings want it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ringserve.engine.model_file import read_model_file
from ringserve.engine.session import Engine, Wish
from ringserve.engine.threads import threads_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from ringserve.core.repository.plan import Wanted
    from ringserve.settings import Settings
    from ringserve.worker.folder import Folder


def open_model(
    settings: Settings, folder: Folder, say: Callable[[str], None], wanted: Wanted, digest: str
) -> Engine | None:
    """Load a model and warm it up. Blocks.

    Args:
        settings: Of the worker.
        folder: Where the model is.
        say: Takes each line for the person who started the worker.
        wanted: The model and its options.
        digest: Of the one that serves in its place already; empty where none does.

    Returns:
        None where it has this digest.

    Raises:
        UsageError: It cannot be loaded; the sentence says why.
    """
    path, options = folder.file_of(wanted.found), wanted.options
    if digest and read_model_file(path, wanted.name).digest == digest:
        return None
    own = options.applied_to(settings)
    engine = Engine.load(
        path,
        provider=own.provider,
        batching=own.batching,
        max_batch=own.max_batch,
        threads=threads_for(settings.workers_here, settings.threads),
        say=say,
        wish=Wish(
            name=wanted.name,
            version=str(wanted.version),
            cache=options.cache,
            custom_ops=settings.custom_ops,
            free_batch=own.free_batch == "auto",
        ),
    )
    engine.spec = replace(engine.spec, labels=options.labels)
    return engine
