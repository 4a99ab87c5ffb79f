from ringserve.limits import FLAG_LIMITS, LIMITS
from ringserve.tools.limits_table import BEGIN, END, filled, table


def test_every_limit_has_one_row_with_what_happens_at_it() -> None:
    rows = table().splitlines()[2:]
    assert len(rows) == len(FLAG_LIMITS) + len(LIMITS)
    (row,) = (row for row in rows if "`--max-queue`" in row)
    assert "| 1024 items | 429" in row


def test_only_what_stands_between_the_marks_is_replaced() -> None:
    assert filled(f"before\n{BEGIN}old\n{END}after\n") == f"before\n{BEGIN}{table()}{END}after\n"
