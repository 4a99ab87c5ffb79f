import os
from pathlib import Path

import pytest

from ringserve.errors import UsageError
from ringserve.fleet.runtime_folder import check_folder, make_folder, socket_path


def test_the_folder_is_made_for_this_user_alone(tmp_path: Path) -> None:
    make_folder(tmp_path)
    folder = socket_path(8000, tmp_path).parent
    assert folder.stat().st_mode & 0o777 == 0o700
    make_folder(tmp_path)
    check_folder(tmp_path)
    assert socket_path(8000, tmp_path).name == "8000.sock"


def test_the_path_is_short_enough_for_a_socket() -> None:
    assert len(os.fsencode(socket_path(65535))) < 100


@pytest.mark.parametrize("wrong", ["open to others", "a link", "a file"])
def test_a_folder_that_others_may_have_made_is_refused(tmp_path: Path, wrong: str) -> None:
    folder = socket_path(1, tmp_path).parent
    if wrong == "a file":
        folder.touch(mode=0o600)
    else:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir(mode=0o700)
        if wrong == "a link":
            folder.symlink_to(elsewhere)
        else:
            folder.mkdir()
            folder.chmod(0o755)
    with pytest.raises(UsageError, match=r"ringserve-\d+ must be a folder of this user with mode 0700"):
        check_folder(tmp_path)


def test_no_folder_is_no_fleet(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        check_folder(tmp_path)
