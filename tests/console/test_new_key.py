from pathlib import Path

import pytest

from ringserve.console.new_key import show_new_key
from ringserve.core.api_keys import parse_keys
from ringserve.errors import UsageError


def test_a_key_is_shown_alone_and_its_line_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    show_new_key("shop", None)
    shown = capsys.readouterr()
    line = shown.err.rpartition(": ")[2]
    assert parse_keys(line).label_of(shown.out.strip().encode()) == "shop"


@pytest.mark.parametrize("before", ["", "# mine\n", "# no line feed at the end"])
def test_a_line_is_added_and_what_was_there_stays(
    before: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "keys.txt"
    path.write_text(before)
    path.chmod(0o640)
    show_new_key("shop", path)
    show_new_key("job", path)
    shop, job = capsys.readouterr().out.split()
    table = parse_keys(path.read_text())
    assert (table.label_of(shop.encode()), table.label_of(job.encode())) == ("shop", "job")
    assert path.read_text().startswith(before)
    assert path.stat().st_mode & 0o777 == 0o640
    assert [other.name for other in tmp_path.iterdir()] == ["keys.txt"]


def test_a_file_behind_a_link_is_replaced_and_the_link_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there, link = tmp_path / "there.txt", tmp_path / "keys.txt"
    link.symlink_to(there)
    show_new_key("shop", link)
    assert link.is_symlink()
    assert parse_keys(there.read_text()).label_of(capsys.readouterr().out.strip().encode()) == "shop"
    assert there.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("label", "content", "says"),
    [("a b", None, "LABEL"), ("shop", "wrong", "is no file of keys: line 1"), ("shop", None, "cannot write")],
)
def test_what_cannot_be_added_shows_no_key(
    label: str, content: str | None, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "keys.txt" if content is not None else tmp_path / "no folder" / "keys.txt"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError, match=says):
        show_new_key(label, path)
    assert capsys.readouterr().out == ""
