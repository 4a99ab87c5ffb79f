"""What it is to be broken on purpose: one method replaced for the time of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

Broken = Callable[..., Any]


@dataclass(frozen=True)
class Break:
    """One way to be wrong.

    Attributes:
        name: What it does wrong.
        target: Whose method is replaced.
        method: Which.
        make: Makes the broken method of the right one.
        sentence: A pattern of the violation that tells it.
        first: The seed to begin with: where few seeds find it, one that did.
    """

    name: str
    target: object
    method: str
    make: Callable[[Broken], Broken]
    sentence: str
    first: int = 0

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let it be broken for as long as this lasts."""
        with patch.object(self.target, self.method, self.make(getattr(self.target, self.method))):
            yield


def always(value: object) -> Callable[[Broken], Broken]:
    """Answer the same, whatever is asked."""
    return lambda _right: lambda *_, **__: value
