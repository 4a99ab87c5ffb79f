"""One model that a worker has ready: what is loaded, under its number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringserve.core.signatures import Signatures

if TYPE_CHECKING:
    from collections.abc import Callable

    from ringserve.core.call import Call
    from ringserve.core.node import Node
    from ringserve.core.tensor import ModelSpec


class Served:
    """A loaded model with its node.

    Attributes:
        number: The worker's name for it; no other model of this process ever has it.
        spec: The model.
        node: Decides about its requests.
        signatures: Those seen.
    """

    def __init__(self, number: int, spec: ModelSpec, node: Node, took: Callable[[Call], None]) -> None:
        """Begin with nothing to do; `took` is called after the node took a call."""
        self.number = number
        self.spec = spec
        self.node = node
        self.signatures = Signatures(spec)
        self._took = took

    def submit(self, call: Call, now: float) -> None:
        """Take a call; the worker flushes the node soon."""
        self.node.submit(call, now)
        self._took(call)
