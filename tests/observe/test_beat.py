import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from ringserve.observe.beat import Beat

# A child that beats until it is told to end; "deaf" ones do not care.
CHILD = """
import signal, sys, threading, time
from ringserve.observe.beat import Beat
told = []
signal.signal(signal.SIGTERM, lambda *_: told.append(1))  # an Event has a lock that may be held just then
beat = Beat(int(sys.argv[1]), float(sys.argv[2]))
beat.start()
beat.beat("ready", healthy=True)
while not told:
    time.sleep(0.02)
if sys.argv[3] == "deaf":
    threading.Event().wait()
"""


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, Beat]]:
    here, there = socket.socketpair()
    beat = Beat(there.detach(), 1.0)
    yield here, beat
    beat.close()
    here.close()


def test_a_beat_is_one_line_of_json(pair: tuple[socket.socket, Beat]) -> None:
    here, beat = pair
    beat.beat("starting", healthy=False)
    beat.beat("ready", healthy=True)
    assert (
        here.recv(1000) == b'{"state": "starting", "healthy": false}\n{"state": "ready", "healthy": true}\n'
    )


def test_a_last_word_is_delivered_and_said_to_be(pair: tuple[socket.socket, Beat]) -> None:
    here, beat = pair
    assert beat.fatal("the port is taken")
    assert here.recv(1000) == b'{"fatal": "the port is taken"}\n'


def test_a_full_channel_drops_beats_and_never_blocks(pair: tuple[socket.socket, Beat]) -> None:
    here, beat = pair
    for _ in range(20_000):
        beat.beat("ready", healthy=True)
    here.setblocking(False)
    heard = b""
    while True:
        try:
            heard += here.recv(1 << 16)
        except BlockingIOError:
            break
    assert 0 < heard.count(b"\n") < 20_000
    beat.beat("draining", healthy=True)
    beat.beat("draining", healthy=True)
    heard += here.recv(1 << 16)
    assert heard.endswith(b'{"state": "draining", "healthy": true}\n')
    assert set(heard.splitlines()) == {
        b'{"state": "ready", "healthy": true}',
        b'{"state": "draining", "healthy": true}',
    }


def test_a_last_word_nobody_reads_is_left_to_the_caller(pair: tuple[socket.socket, Beat]) -> None:
    here, beat = pair
    here.close()
    beat.beat("ready", healthy=True)
    assert not beat.fatal("the port is taken")


def test_without_a_supervisor_nothing_happens() -> None:
    beat = Beat(None, 1.0)
    beat.start()
    beat.beat("ready", healthy=True)
    assert not beat.fatal("sentence")
    beat.close()


def test_closing_ends_the_watching_thread_and_not_the_process() -> None:
    here, there = socket.socketpair()
    with here:
        beat = Beat(there.detach(), 1.0)
        beat.start()
        watching = next(thread for thread in threading.enumerate() if thread.name == "supervisor-watch")
        beat.close()
        watching.join(10)
        assert not watching.is_alive()


@pytest.mark.parametrize(("kind", "status"), [("obedient", 0), ("deaf", 1)])
def test_a_child_whose_supervisor_is_gone_drains_and_is_ended_where_it_does_not(
    kind: str, status: int
) -> None:
    here, there = socket.socketpair()
    with here, there:
        # The drain's limit is chosen so that the grace added to it is all that remains.
        command = [sys.executable, "-c", CHILD, str(there.fileno()), "-4.5", kind]
        child = subprocess.Popen(command, pass_fds=[there.fileno()])
        there.close()
        assert here.recv(100).startswith(b'{"state": "ready"')
        here.close()
        assert child.wait(30) == status


def test_the_descriptor_is_not_handed_on() -> None:
    here, there = socket.socketpair()
    with here:
        fd = there.detach()
        os.set_inheritable(fd, True)
        beat = Beat(fd, 1.0)
        assert not os.get_inheritable(fd)
        beat.close()
