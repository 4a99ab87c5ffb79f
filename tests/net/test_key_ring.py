from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from ringserve.core.api_keys import line_of
from ringserve.net.key_ring import MISSING, UNKNOWN, KeyCheck, KeyRing

KEYS = {"a": "key-a", "b": "key-b", "a2": "key-a2"}
HEADERS = st.sampled_from(
    [
        (b"authorization", b"Bearer key-a"),
        (b"authorization", b"Bearer key-b"),
        (b"authorization", b"Basic key-a"),
        (b"x-api-key", b"key-a"),
        (b"x-api-key", b"key-a2"),
        (b"x-api-key", b"wrong"),
        (b"host", b"key-a"),
    ]
)
REQUESTS = st.lists(HEADERS, max_size=3)
STEPS = st.lists(st.sets(st.sampled_from(sorted(KEYS))) | REQUESTS, max_size=12)


@given(STEPS, st.booleans())
def test_what_is_remembered_decides_as_if_asked_anew(
    steps: list[set[str] | list[tuple[bytes, bytes]]], salted: bool
) -> None:
    """Whatever the file held when a connection was last let in, only what it holds now counts."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "keys")
        number = write(path, set(KEYS), 0)
        ring = KeyRing(str(path), salted=salted)
        check = KeyCheck(ring)
        counts = dict.fromkeys(ring.counts, 0)
        for step in steps:
            if isinstance(step, set):
                number = write(path, step, number)
                ring.refresh()
                counts = {label: counts.get(label, 0) for label in step}
                continue
            fresh = KeyCheck(ring)
            before = dict(ring.counts)
            assert check.refusal_of(step) is fresh.refusal_of(step)
            if check.refusal_of(step) is None:
                assert check.salt == fresh.salt
                assert (check.salt is not None) == salted
                counts[next(label for label in counts if ring.counts[label] > before[label])] += 3
            assert ring.counts == counts


def write(path: Path, labels: set[str], number: int) -> int:
    """Put another file in its place, which differs from the last one even where it says the same."""
    beside = path.with_suffix(".new")
    beside.write_text("\n".join([f"# {'x' * number}", *(line_of(label, KEYS[label]) for label in labels)]))
    beside.replace(path)
    return number + 1


def test_a_missing_key_is_told_from_a_wrong_one(tmp_path: Path) -> None:
    write(tmp_path / "keys", {"a"}, 0)
    check = KeyCheck(KeyRing(str(tmp_path / "keys"), salted=False))
    assert check.refusal_of([(b"host", b"x")]) is MISSING
    assert check.refusal_of([(b"x-api-key", b"key-b")]) is UNKNOWN
    assert check.refusal_of([(b"x-api-key", b"key-a")]) is None
