"""`make bench-ring`: shares of 10,000 distinct inputs on three workers; the worst of 50 sets of names."""

from __future__ import annotations

import random
from collections import Counter

from benchmarks.results import keep, machine
from ringserve.core.ring import Ring
from ringserve.core.signature import Signature, TensorLayout
from ringserve.core.tensor import DType

INPUTS, SETS, WORKERS = 10_000, 50, 3
PUBLISHED = (46.81, 24.71, 38.53)


def shares(names: list[str], keys: list[bytes]) -> list[float]:
    """Per cent of the keys at each worker."""
    ring = Ring(names)
    counts = Counter(ring.owner(key) for key in keys)
    return [100 * counts[index] / len(keys) for index in range(len(names))]


def farthest(names: list[str], keys: list[bytes]) -> float:
    """How many points the worst share is from an equal one."""
    return max(abs(share - 100 / len(names)) for share in shares(names, keys))


def main() -> None:
    where = machine()
    chance = random.Random(0)
    signature = Signature("digits", "", (TensorLayout("x", DType.FP32, (1, 64)),))
    keys = [bytes(signature.digest(chance.randbytes(256))) for _ in range(INPUTS)]
    usual = shares([f"localhost:{8001 + number}" for number in range(WORKERS)], keys)
    sets = [[_name(chance) for _ in range(WORKERS)] for _ in range(SETS)]
    distances = [farthest(names, keys) for names in sets]
    print(f"{INPUTS:,} distinct inputs, 150 virtual nodes a worker")
    print("localhost:8001, :8002, :8003   " + _shown(usual))
    print("published, C++ reference design " + _shown(PUBLISHED))
    print(f"worst of {SETS} sets of names: {max(distances):.2f} points from a third")
    figures = {"usual": usual, "worst_points": max(distances), "all_points": distances}
    keep("ring_shares", where, figures)


def _name(chance: random.Random) -> str:
    return f"host-{chance.getrandbits(40):x}:{chance.randrange(1024, 65536)}"


def _shown(percents: list[float] | tuple[float, ...]) -> str:
    return " / ".join(f"{one:.2f} %" for one in percents)


if __name__ == "__main__":
    main()
