"""What a check found: whether it holds, what was seen, and what to do where it does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """Whether a check holds."""

    HOLDS = "ok"
    FAILS = "FAIL"
    CANNOT_TELL = "–"
    """It cannot be seen from here, which is no failure: the other checks tell."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: where, what was seen, the likely cause, and the command that mends it.

    `cause` and `mend` are empty for what follows from another check's fault.
    """

    target: str
    seen: str
    cause: str = ""
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check."""

    title: str
    verdict: Verdict
    seen: str
    faults: Sequence[Fault] = ()


def follows(target: str, seen: str, check: int) -> Fault:
    """Tell of what is wrong only because another check fails, which says the cause and the mend."""
    return Fault(target, f"{seen} (see check {check})")


def finding(title: str, seen: str, faults: Sequence[Fault]) -> Finding:
    """Give the finding of a check that holds exactly when it has no faults."""
    return Finding(title, Verdict.FAILS if faults else Verdict.HOLDS, seen, faults)
