"""Search for bytes that break a target: `python -m tests.fuzz.search TARGET SECONDS [libFuzzer's flags]`.

Guided by coverage where atheris is installed, which has wheels for Linux on x86-64 alone; elsewhere blind:
inputs of the corpus are cut, joined and changed at random. Either way a finding ends the search with the
error, and the bytes are kept under `.fuzz/`, from where they belong into the corpus once the fault is mended.
"""

from __future__ import annotations

import importlib.util
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
FOUND = Path(".fuzz")
INPUT_MAX = 4096
GUIDED = importlib.util.find_spec("atheris") is not None


def inputs_of(target: str) -> list[bytes]:
    """The corpus of a target."""
    return [path.read_bytes() for path in sorted((CORPUS / target).glob("*.bin"))]


def changed(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """One input, changed here and there."""
    parts = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at, other = chance.randint(0, len(parts)), chance.choice(others)
        start = chance.randint(0, len(other))
        cut = chance.choice((0, 0, 1, 2, 8, 64))
        put = chance.choice(
            (
                other[start : start + chance.choice((1, 4, 16, 200))],
                chance.randbytes(chance.choice((1, 1, 2, 4))),
                bytes(parts[at : at + 8]) * 2,
                b"",
            )
        )
        parts[at : at + cut] = put
    return bytes(parts[:INPUT_MAX])


def search_blind(target: str, seed: int, *, runs: int = 0, seconds: float = 0.0) -> int:
    """Try changed inputs for so many runs or seconds; returns how many were tried."""
    from tests.fuzz.targets import TARGETS

    check, chance, corpus = TARGETS[target], random.Random(seed), inputs_of(target) or [b"\0"]
    end, tried = time.monotonic() + seconds, 0
    while tried < runs or time.monotonic() < end:
        data = changed(chance.choice(corpus), corpus, chance)
        try:
            check(data)
        except Exception:
            FOUND.mkdir(exist_ok=True)
            (FOUND / f"{target}-{seed}-{tried}.bin").write_bytes(data)
            raise
        tried += 1
    return tried


def search_guided(target: str, flags: list[str]) -> None:
    """Hand over to libFuzzer, which ends the process."""
    import atheris

    with atheris.instrument_imports(include=["ringserve", "tests.fuzz"]):
        from tests.fuzz.targets import TARGETS

        if target == "http":
            import tests.fuzz.http_door  # noqa: F401 - instrumented when it is imported
    grown = FOUND / target
    grown.mkdir(parents=True, exist_ok=True)
    seeds = str(CORPUS / target)
    limits = [
        f"-max_len={INPUT_MAX}",
        "-timeout=10",
        "-rss_limit_mb=2048",
        f"-artifact_prefix={FOUND}/{target}-",
    ]
    atheris.Setup(["fuzz", *limits, *flags, str(grown), seeds], TARGETS[target])
    atheris.Fuzz()


def main() -> None:
    """Search as told on the command line."""
    target, seconds, flags = sys.argv[1], sys.argv[2], sys.argv[3:]
    if GUIDED:
        search_guided(target, [f"-max_total_time={seconds}", *flags])
    else:
        tried = search_blind(target, int(time.time()), seconds=float(seconds))
        sys.stdout.write(f"{target}: {tried} inputs, no finding\n")


if __name__ == "__main__":
    main()
