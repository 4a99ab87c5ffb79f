import pytest

from ringserve.settings import COMMANDS, fields_for
from ringserve.tools.flags_table import BEGIN, END, filled, table


def test_every_flag_has_one_row() -> None:
    flags = {f"`--{spec.name.replace('_', '-')}`" for command in COMMANDS for spec in fields_for(command)}
    rows = [line.split(" | ")[0].removeprefix("| ") for line in table().splitlines()[2:]]
    assert sorted(rows) == sorted(flags)


def test_a_default_that_differs_by_command_names_the_commands() -> None:
    (row,) = (line for line in table().splitlines() if "`--grpc-port`" in line)
    assert "0 (worker), 9000 (gateway), 9000 (up)" in row


def test_only_what_stands_between_the_marks_is_replaced() -> None:
    assert filled(f"before\n{BEGIN}old\n{END}after\n") == f"before\n{BEGIN}{table()}{END}after\n"


def test_filling_twice_changes_nothing() -> None:
    once = filled(BEGIN + END)
    assert filled(once) == once


@pytest.mark.parametrize("document", ["", BEGIN, END, END + BEGIN])
def test_a_document_without_the_marks_is_refused(document: str) -> None:
    with pytest.raises(ValueError, match="marks are missing"):
        filled(document)
