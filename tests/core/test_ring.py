"""The ring agrees with its definition, spreads evenly, and moves no key that need not move."""

import random
from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringserve.core.ring import POINTS_PER_VIRTUAL_NODE, Ring

KEYS = [blake2b(b"key %d" % number, digest_size=16).digest() for number in range(10_000)]
THREE = ("localhost:8001", "localhost:8002", "localhost:8003")

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
members = st.lists(names, min_size=1, max_size=6, unique=True)
keys = st.binary(min_size=16, max_size=16)
few_virtual_nodes = st.integers(1, 4)


def naive_owners(members: list[str], virtual_nodes: int, key: bytes) -> list[str]:
    """The members in the order in which a walk along the ring meets them: the definition, step by step."""
    points = []
    for member in members:
        for counter in range(2 * virtual_nodes):
            digest = blake2b(member.encode() + counter.to_bytes(4, "big")).digest()
            points += [(int.from_bytes(digest[at : at + 8], "big"), member) for at in range(0, 64, 8)]
    points.sort()
    place = int.from_bytes(key[:8], "big")
    walk = [point for point in points if point[0] > place] + [point for point in points if point[0] <= place]
    return list(dict.fromkeys(member for _, member in walk))


@given(members, few_virtual_nodes, keys)
def test_a_ring_is_what_its_definition_says(members: list[str], virtual_nodes: int, key: bytes) -> None:
    ring = Ring(members, virtual_nodes)
    expected = naive_owners(members, virtual_nodes, key)
    assert [ring.members[index] for index in ring.preference(key)] == expected
    assert ring.members[ring.owner(key)] == expected[0]


def test_a_key_that_begins_with_a_point_belongs_to_the_next_point() -> None:
    ring = Ring(THREE)
    for at in range(5):
        key = ring._points[at] + bytes(8)
        assert ring.owner(key) == ring._owners[at + 1]
        assert ring.members[ring.owner(key)] == naive_owners(list(THREE), 150, key)[0]


@pytest.mark.parametrize("key", [b"\x00" * 16, b"\xff" * 16])
def test_keys_before_the_first_and_past_the_last_point_belong_to_the_first(key: bytes) -> None:
    ring = Ring(THREE)
    assert ring.owner(key) == ring.owner(b"\x00" * 16)
    assert sorted(ring.preference(key)) == [0, 1, 2]


@given(members, keys)
def test_preference_is_a_permutation_that_begins_with_the_owner(members: list[str], key: bytes) -> None:
    ring = Ring(members, 2)
    preference = list(ring.preference(key))
    assert sorted(preference) == list(range(len(members)))
    assert preference[0] == ring.owner(key)


@given(members.flatmap(lambda given: st.tuples(st.just(given), st.permutations(given))), keys)
def test_the_order_of_the_list_decides_nothing(lists: tuple[list[str], list[str]], key: bytes) -> None:
    one, other = (Ring(listed, 2) for listed in lists)
    assert [one.members[index] for index in one.preference(key)] == [
        other.members[index] for index in other.preference(key)
    ]


@given(members, names, few_virtual_nodes, st.lists(keys, max_size=50))
def test_a_member_that_joins_takes_keys_only_for_itself(
    members: list[str], newcomer: str, virtual_nodes: int, some_keys: list[bytes]
) -> None:
    # Read from right to left it says that a member that leaves gives up only its own keys.
    before = [member for member in members if member != newcomer]
    if not before:
        return
    small, large = Ring(before, virtual_nodes), Ring([*before, newcomer], virtual_nodes)
    for key in some_keys:
        now = large.members[large.owner(key)]
        assert now in (newcomer, small.members[small.owner(key)])


@given(members, st.lists(keys, max_size=20))
def test_without_its_owner_a_key_goes_to_the_second_in_preference(
    members: list[str], some_keys: list[bytes]
) -> None:
    ring = Ring(members, 2)
    if len(members) == 1:
        return
    for key in some_keys:
        first, *rest = (ring.members[index] for index in ring.preference(key))
        without = Ring([member for member in members if member != first], 2)
        assert [without.members[index] for index in without.preference(key)] == rest


@pytest.mark.parametrize("size", [2, 3, 10])
def test_one_more_member_moves_about_its_share_of_keys_and_no_others(size: int) -> None:
    hosts = [f"10.0.0.{number}:8001" for number in range(size + 1)]
    before, after = Ring(hosts[:-1]), Ring(hosts)
    moved = [key for key in KEYS if before.owner(key) != after.owner(key)]
    assert {after.owner(key) for key in moved} == {size}
    assert len(moved) == sum(after.owner(key) == size for key in KEYS)
    assert len(moved) / len(KEYS) == pytest.approx(1 / (size + 1), abs=0.03)


def member_names(seed: int) -> list[str]:
    """Three names as people write them, in one of four styles."""
    chance = random.Random(seed)
    numbers = chance.sample(range(1, 60_000), 3)
    match seed % 4:
        case 0:
            return [f"localhost:{number}" for number in range(8001 + seed, 8004 + seed)]
        case 1:
            return [
                f"worker-{number}.ringserve.svc.cluster.local:8001"
                for number in range(3 * seed, 3 * seed + 3)
            ]
        case 2:
            return [f"10.{seed}.{number % 256}.{number // 256}:8001" for number in numbers]
        case _:
            return [f"[fe80::{number:x}]:{number}" for number in numbers]


@pytest.mark.parametrize("seed", range(50))
def test_each_of_three_members_has_a_third_of_the_keys_within_four_points(seed: int) -> None:
    ring = Ring(member_names(seed))
    counts = [0, 0, 0]
    for key in KEYS:
        counts[ring.owner(key)] += 1
    assert all(abs(count / len(KEYS) - 1 / 3) <= 0.04 for count in counts), counts


def test_more_virtual_nodes_spread_better() -> None:
    def worst_share(virtual_nodes: int) -> float:
        ring = Ring([f"host:{port}" for port in range(20)], virtual_nodes)
        counts = [0] * 20
        for key in KEYS:
            counts[ring.owner(key)] += 1
        return max(counts) / len(KEYS)

    assert worst_share(150) < worst_share(1)


def test_places_never_change_from_one_version_to_the_next() -> None:
    # Gateways of two versions serve one fleet during an upgrade and must agree: never edit these.
    ring = Ring(THREE)
    assert "".join(str(ring.owner(key)) for key in KEYS[:64]) == GOLDEN_OWNERS
    assert ["".join(map(str, ring.preference(key))) for key in KEYS[:8]] == GOLDEN_PREFERENCES
    other = Ring(["ä.example:1", "10.1.2.3:8001"], 7)
    assert "".join(str(other.owner(key)) for key in KEYS[:32]) == GOLDEN_OTHER


GOLDEN_OWNERS = "2011212001102111210100112001100221201010120221120022122200200210"
GOLDEN_PREFERENCES = ["201", "021", "120", "102", "201", "120", "201", "012"]
GOLDEN_OTHER = "10010111111101110101001001000000"


def test_a_ring_of_a_thousand_members_builds_and_knows_them_all() -> None:
    hosts = [f"10.0.{number // 250}.{number % 250}:8001" for number in range(1000)]
    ring = Ring(hosts)
    assert len(ring._points) == 1000 * 150 * POINTS_PER_VIRTUAL_NODE
    assert ring._points == sorted(ring._points)
    assert set(ring._owners) == set(range(1000))
    assert len(set(ring.preference(KEYS[0]))) == 1000


def test_members_are_kept_as_given() -> None:
    assert Ring(["b", "a"]).members == ("b", "a")


@pytest.mark.parametrize(
    ("given", "virtual_nodes", "message"),
    [
        ([], 150, "at least one member"),
        (["a", "b", "a"], 150, "must differ"),
        (["a"], 0, "virtual_nodes must be at least 1, got 0"),
    ],
)
def test_a_ring_that_cannot_be_is_refused(given: list[str], virtual_nodes: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Ring(given, virtual_nodes)


@given(st.sets(st.text(min_size=1, max_size=8), min_size=1, max_size=6), st.integers(1, 20))
def test_its_shares_are_those_of_the_keys(names: set[str], virtual_nodes: int) -> None:
    """Walk over the ring as it is drawn: a point owns the arc from the one before it."""
    ring = Ring(sorted(names), virtual_nodes)
    points = [int.from_bytes(point, "big") for point in ring._points]
    arcs = [0] * len(names)
    for number, point in enumerate(points):
        arcs[ring._owners[number]] += (point - points[number - 1]) % 2**64
    seen = ring.statistics()
    assert seen.points == len(points) == len(names) * virtual_nodes * POINTS_PER_VIRTUAL_NODE
    assert seen.shares == pytest.approx([arc / 2**64 for arc in arcs])
    assert sum(seen.shares) == pytest.approx(1.0)


def test_its_shares_are_what_many_keys_find() -> None:
    chance = random.Random(3)
    ring = Ring(["a", "b", "c"])
    found = [0, 0, 0]
    for _ in range(20_000):
        found[ring.owner(chance.randbytes(16))] += 1
    assert ring.statistics().shares == pytest.approx([count / 20_000 for count in found], abs=0.02)
