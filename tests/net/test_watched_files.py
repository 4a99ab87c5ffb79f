import os
from pathlib import Path

import pytest

from ringserve.errors import UsageError
from ringserve.net.watched_files import WatchedFiles, read_small


def test_a_change_is_told_once_whichever_file_it_is_of(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("a")
    other.write_text("a")
    watched = WatchedFiles([str(one), str(other)])
    assert not watched.changed()
    other.write_text("ab")
    assert [watched.changed(), watched.changed()] == [True, False]
    beside = tmp_path / "beside"
    beside.write_text("a")
    os.utime(beside, ns=(0, one.stat().st_mtime_ns))
    beside.replace(one)  # the same size and time, but another file
    assert [watched.changed(), watched.changed()] == [True, False]
    one.unlink()
    assert [watched.changed(), watched.changed()] == [True, False]
    one.write_text("a")
    assert watched.changed()


def test_what_can_be_read_only_once_never_changes(tmp_path: Path) -> None:
    """To read a pipe again would stop the event loop."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    watched = WatchedFiles([str(pipe)])
    os.utime(pipe, ns=(0, 0))
    assert not watched.changed()


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_small(str(path), "--flag", 5) == b"12345"
    with pytest.raises(UsageError, match=r"--flag: .*longer than 4 bytes"):
        read_small(str(path), "--flag", 4)
    for wrong in (tmp_path, tmp_path / "missing"):
        with pytest.raises(UsageError, match="--flag: cannot read"):
            read_small(str(wrong), "--flag", 4)
