"""The cache does what a list, searched from end to end, does."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ringserve.core.cache import Cache, CacheStatistics

keys = st.integers(0, 9).map(lambda number: b"%016d" % number)
sizes = st.integers(0, 12)


class NaiveCache:
    """A list of (key, value, size), the least recently used first."""

    def __init__(self, capacity: int, bytes_max: int) -> None:
        self.capacity = capacity
        self.bytes_max = bytes_max
        self.entries: list[tuple[bytes, str, int]] = []
        self.evictions = 0
        self.oversized = 0

    def weight(self) -> int:
        return sum(size for _, _, size in self.entries)

    def get(self, key: bytes) -> str | None:
        for entry in self.entries:
            if entry[0] == key:
                self.entries = [other for other in self.entries if other[0] != key] + [entry]
                return entry[1]
        return None

    def put(self, key: bytes, value: str, size: int) -> None:
        if self.capacity == 0:
            return
        self.entries = [entry for entry in self.entries if entry[0] != key]
        if size > self.bytes_max:
            self.oversized += 1
            return
        self.entries = [*self.entries, (key, value, size)]
        while len(self.entries) > self.capacity or self.weight() > self.bytes_max:
            self.entries = self.entries[1:]
            self.evictions += 1


class CacheMachine(RuleBasedStateMachine):
    @initialize(capacity=st.integers(0, 5), bytes_max=st.integers(0, 30))
    def start(self, capacity: int, bytes_max: int) -> None:
        self.cache: Cache[str] = Cache(capacity, bytes_max)
        self.naive = NaiveCache(capacity, bytes_max)
        self.hits = 0
        self.misses = 0
        self.puts = 0

    @rule(key=keys)
    def get(self, key: bytes) -> None:
        value = self.cache.get(key)
        assert value == self.naive.get(key)
        self.hits += value is not None
        self.misses += value is None

    @rule(key=keys, size=sizes)
    def put(self, key: bytes, size: int) -> None:
        self.puts += 1
        value = f"value {self.puts}"
        self.cache.put(key, value, size)
        self.naive.put(key, value, size)

    @rule()
    def clear(self) -> None:
        self.cache.clear()
        self.naive.entries = []

    @invariant()
    def both_hold_the_same_in_the_same_order(self) -> None:
        kept = [(key, value, size) for key, (value, size) in self.cache._entries.items()]
        assert kept == self.naive.entries

    @invariant()
    def both_count_the_same(self) -> None:
        cache, naive = self.cache, self.naive
        assert len(cache) == len(naive.entries)
        assert cache.bytes == naive.weight()
        assert (cache.hits, cache.misses) == (self.hits, self.misses)
        assert (cache.evictions, cache.oversized) == (naive.evictions, naive.oversized)

    @invariant()
    def neither_bound_is_exceeded(self) -> None:
        assert len(self.cache) <= self.cache.capacity
        assert self.cache.bytes <= self.cache.bytes_max


TestCacheMachine = CacheMachine.TestCase
TestCacheMachine.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)


@given(st.lists(st.binary(min_size=16, max_size=16), unique=True, max_size=30), st.integers(1, 10))
def test_of_entries_never_asked_for_the_newest_stay(newest_last: list[bytes], capacity: int) -> None:
    cache: Cache[int] = Cache(capacity, 1000)
    for number, key in enumerate(newest_last):
        cache.put(key, number, 1)
    found = [key for key in newest_last if cache.get(key) is not None]
    assert found == newest_last[-capacity:]


def test_an_entry_asked_for_outlives_one_that_was_not() -> None:
    cache: Cache[str] = Cache(2, 1000)
    cache.put(b"a", "A", 1)
    cache.put(b"b", "B", 1)
    assert cache.get(b"a") == "A"
    cache.put(b"c", "C", 1)
    assert cache.get(b"b") is None
    assert (cache.get(b"a"), cache.get(b"c")) == ("A", "C")
    assert (cache.hits, cache.misses, cache.evictions) == (3, 1, 1)


def test_a_large_entry_drives_out_as_many_as_it_needs() -> None:
    cache: Cache[str] = Cache(100, 10)
    for key in (b"a", b"b", b"c"):
        cache.put(key, "small", 3)
    cache.put(b"d", "large", 6)
    assert (len(cache), cache.bytes, cache.evictions) == (2, 9, 2)
    assert cache.get(b"c") == "small"


def test_an_entry_larger_than_the_whole_cache_is_not_kept_and_drives_out_only_its_older_self() -> None:
    cache: Cache[str] = Cache(100, 10)
    cache.put(b"a", "A", 5)
    cache.put(b"b", "B", 5)
    cache.put(b"a", "far too large", 11)
    assert cache.get(b"a") is None
    assert cache.get(b"b") == "B"
    assert (cache.bytes, cache.evictions, cache.oversized) == (5, 0, 1)


def test_an_entry_of_exactly_the_bound_is_kept() -> None:
    cache: Cache[str] = Cache(1, 10)
    cache.put(b"a", "A", 10)
    assert cache.get(b"a") == "A"


def test_a_second_value_of_a_key_replaces_the_first_without_an_eviction() -> None:
    cache: Cache[str] = Cache(1, 10)
    cache.put(b"a", "old", 8)
    cache.put(b"a", "new", 4)
    assert cache.get(b"a") == "new"
    assert (len(cache), cache.bytes, cache.evictions) == (1, 4, 0)


@pytest.mark.parametrize("size", [0, 1, 99])
def test_capacity_zero_turns_it_off(size: int) -> None:
    cache: Cache[str] = Cache(0, 10)
    cache.put(b"a", "A", size)
    assert cache.get(b"a") is None
    assert (len(cache), cache.bytes, cache.evictions, cache.oversized) == (0, 0, 0, 0)


def test_a_cleared_cache_is_empty_and_goes_on_working() -> None:
    cache: Cache[str] = Cache(10, 10)
    cache.put(b"a", "A", 5)
    cache.clear()
    assert (cache.get(b"a"), len(cache), cache.bytes) == (None, 0, 0)
    cache.put(b"a", "A again", 5)
    assert cache.get(b"a") == "A again"
    assert (cache.hits, cache.misses, cache.evictions) == (1, 1, 0)


def test_its_statistics_are_those_of_that_moment() -> None:
    cache: Cache[str] = Cache(1, 10)
    cache.put(b"a", "A", 4)
    cache.put(b"b", "B", 5)
    cache.put(b"c", "C", 11)
    cache.get(b"a")
    cache.get(b"b")
    seen = cache.statistics()
    cache.clear()
    assert seen == CacheStatistics(
        entries=1, capacity=1, bytes=5, bytes_max=10, hits=1, misses=1, evictions=1, oversized=1
    )
