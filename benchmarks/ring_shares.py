"""`make bench-ring`: shares of 10,000 distinct inputs on three workers; the worst of 50 sets of names."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

from ringserve.core.ring import Ring
from ringserve.core.signature import Signature, TensorLayout
from ringserve.core.tensor import DType

INPUTS, SETS = 10_000, 50
PUBLISHED = (46.81, 24.71, 38.53)
RESULTS = Path(__file__).parent / "results" / "ring_shares.json"


def shares(names: list[str], keys: list[bytes]) -> list[float]:
    ring = Ring(names)
    counts = Counter(ring.owner(key) for key in keys)
    return [100 * counts[index] / len(keys) for index in range(len(names))]


def main() -> None:
    chance = random.Random(0)
    signature = Signature("mlp", "", (TensorLayout("x", DType.FP32, (1, 64)),))
    keys = [bytes(signature.digest(number.to_bytes(256, "little"))) for number in range(INPUTS)]
    usual = shares([f"localhost:{port}" for port in (8001, 8002, 8003)], keys)
    worst = 0.0
    for _ in range(SETS):
        names = [f"host-{chance.getrandbits(40):x}:{chance.randrange(1024, 65536)}" for _ in range(3)]
        worst = max(worst, *(abs(share - 100 / 3) for share in shares(names, keys)))
    print(
        f"{INPUTS:,} distinct inputs on localhost:8001, 8002, 8003: "
        + " / ".join(f"{one:.2f} %" for one in usual)
    )
    print("C++ reference design (published): " + " / ".join(f"{one:.2f} %" for one in PUBLISHED))
    print(f"worst of {SETS} sets of names: {worst:.2f} points from a third")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"usual": usual, "worst_points": worst}, indent=1) + "\n")


if __name__ == "__main__":
    main()
