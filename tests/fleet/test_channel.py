import json
import os
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ringserve.fleet.channel import Channel, LineReader, Said
from ringserve.observe.beat import Beat

BEATS = st.builds(Said, state=st.sampled_from(["starting", "ready", "draining"]), healthy=st.booleans())
LAST_WORDS = st.builds(Said, fatal=st.text(min_size=1))
SAID = st.lists(BEATS | LAST_WORDS, max_size=20)


def encoded(said: Said) -> bytes:
    message = {"fatal": said.fatal} if said.fatal else {"state": said.state, "healthy": said.healthy}
    return json.dumps(message).encode() + b"\n"


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(edges)]


@given(SAID, st.lists(st.integers(0, 10_000)))
def test_lines_are_read_whole_however_they_are_cut(said: list[Said], places: list[int]) -> None:
    reader = LineReader()
    heard = [one for piece in cut(b"".join(map(encoded, said)), places) for one in reader.feed(piece)]
    assert heard == said


@given(st.lists(st.binary(max_size=100)))
def test_garbage_is_skipped_and_what_follows_is_heard(pieces: list[bytes]) -> None:
    reader = LineReader()
    for piece in pieces:
        reader.feed(piece)
    assert reader.feed(b'\n{"state": "ready", "healthy": true}\n')[-1] == Said(state="ready")


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    reader = LineReader()
    for _ in range(100):
        reader.feed(b"x" * 10_000)
    assert len(reader._rest) < 100_000


def test_wrong_messages_are_skipped() -> None:
    assert LineReader().feed(b'[]\n{}\n{"state": 1}\n{"fatal": null}\nnull\n' + b"[" * 5000 + b"\n") == []


def test_both_halves_of_the_channel_understand_each_other() -> None:
    channel = Channel()
    beat = Beat(os.dup(channel.child_fd), 1.0)
    channel.give_away()
    assert channel.read() == []
    beat.beat("ready", healthy=False)
    assert beat.fatal("sentence")
    assert channel.read() == [Said(state="ready", healthy=False), Said(fatal="sentence")]
    ended = [channel.ended]
    beat.close()
    assert channel.read() == []
    ended.append(channel.ended)
    assert ended == [False, True]
    channel.close()
