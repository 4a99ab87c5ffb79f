import io
import logging
from collections.abc import Iterator

import pytest

from ringserve.observe.logs import set_up_logs


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def said(level: str, who: str = "") -> io.StringIO:
    stream = io.StringIO()
    set_up_logs(level, who, stream)
    return stream


def fail(reason: str) -> None:
    raise ValueError(reason)


def test_a_line_has_time_level_name_and_text() -> None:
    stream = said("info", "worker_1")
    logging.getLogger("ringserve.x").warning("it is %s", "so")
    time, rest = stream.getvalue().split(" ", 1)
    assert time.count(":") == 2
    assert rest == "warning worker_1: it is so\n"


def test_less_important_lines_are_left_out() -> None:
    stream = said("warning")
    logging.getLogger("ringserve").info("hush")
    assert stream.getvalue() == ""


def test_what_libraries_say_at_info_is_left_out_unless_debugging() -> None:
    stream = said("info")
    logging.getLogger("uvicorn.error").info("GET /")
    assert stream.getvalue() == ""
    stream = said("debug")
    logging.getLogger("uvicorn.error").info("GET /")
    assert "GET /" in stream.getvalue()


def test_an_event_is_one_line_whatever_is_in_it() -> None:
    stream = said("info")
    try:
        fail("sorry,\nin two lines")
    except ValueError:
        logging.getLogger("ringserve").exception("it\nfailed")
    assert "error it failed (ValueError: sorry, in two lines)\n" in stream.getvalue()
    assert stream.getvalue().count("\n") == 1


def test_a_traceback_is_shown_when_debugging() -> None:
    stream = said("debug")
    try:
        fail("reason")
    except ValueError:
        logging.getLogger("ringserve").exception("it failed")
    assert "Traceback" in stream.getvalue()


def test_setting_up_again_replaces_what_was_there() -> None:
    first = said("info")
    second = said("info")
    logging.getLogger("ringserve").info("once")
    assert first.getvalue() == ""
    assert second.getvalue().count("once") == 1
