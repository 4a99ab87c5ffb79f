"""`ringserve restart`: asks the running `up` and shows how it goes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ringserve.fleet.control import connect

if TYPE_CHECKING:
    import socket

_FAILED = 1


def ask_restart(port: int) -> int:
    """Have the fleet of a port renewed, and wait for the end.

    Returns:
        0 when all processes are new; 1 where the restart ended early, which one line says.

    Raises:
        UsageError: No `up` of this user has that port.
    """
    with connect(port) as connection:
        connection.settimeout(None)
        connection.sendall(b'{"do": "restart"}\n')
        failure = _follow(connection)
    if failure:
        print(f"ringserve restart: {failure}", file=sys.stderr)  # noqa: T201
        return _FAILED
    return 0


def _follow(connection: socket.socket) -> str:
    """Show each line as it comes; returns why it failed, or nothing."""
    show = _show_rich if sys.stdout.isatty() else _show_plain
    with connection.makefile("rb") as lines:
        messages = _messages(lines)
        return show(messages)


def _messages(lines: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - JSON
    for line in lines:
        message = json.loads(line)
        yield message
        if "end" in message:
            return
    yield {"end": "`ringserve up` ended before the restart did"}


def _show_plain(messages: Iterator[dict[str, Any]]) -> str:
    """One line for each step."""
    total, name, done = 0, "", 0

    def say(text: str) -> None:
        print(text, flush=True)  # noqa: T201

    for message in messages:
        if "end" in message:
            if name and not message["end"]:
                say(f"{name} ready ({total} of {total})")
            return str(message["end"])
        if "of" in message:
            total = message["of"]
            if message["note"]:
                say(message["note"])
            continue
        if message["done"] > done:
            say(f"{name} ready ({message['done']} of {total})")
        name, done = message["name"], message["done"]
        if message["stage"] != "waiting":
            say(f"{name} {message['stage']}")
    return ""


def _show_rich(messages: Iterator[dict[str, Any]]) -> str:
    """A bar that says who is on."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn  # noqa: PLC0415

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("restarting", total=None)
        for message in messages:
            if "end" in message:
                if not message["end"]:
                    progress.update(task, description="all are new", completed=progress.tasks[0].total)
                return str(message["end"])
            if "of" in message:
                progress.update(task, total=message["of"])
                if message["note"]:
                    progress.console.print(message["note"])
            else:
                text = f"{message['name']} {message['stage']}"
                progress.update(task, description=text, completed=message["done"])
    return ""
