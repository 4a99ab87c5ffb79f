"""The commands that mend: exact where the machine tells enough, with a word in capitals where it does not."""

from __future__ import annotations

import shlex

from ringserve.tools.findings import Fault
from ringserve.tools.processes import Process
from ringserve.tools.survey import Server, Survey


def start(server: Server, seen: Survey) -> str:
    """Give the command that starts a server."""
    if all(one.port_error is not None for one in seen.servers) and seen.supervisor is None:
        return f"ringserve up{_model_behind(seen)}   (starts the gateway and its workers)"
    if server.role == "gateway":
        port = "" if server.address.port == 8000 else f" --port {server.address.port}"  # noqa: PLR2004 - the flag's default
        return f"ringserve gateway {' '.join(str(worker.address) for worker in seen.workers)}{port}"
    return f"ringserve worker {server.address.port} {server.name} {_model(seen)}"


def restart(server: Server, seen: Survey, *, force: bool = True) -> str:
    """Give the commands that end a server's process (by force where it may hang) and start it again."""
    if server.process is None:
        where = "" if server.here else f"on {server.address.host}: "
        show = whose_port(server.address.port)
        return f"{where}{show}   (end what it shows), then: {start(server, seen)}"
    kill = f"kill {'-9 ' if force else ''}{server.process.pid}"
    if seen.supervisor is not None and force:
        return f"{kill}   (`ringserve up`, pid {seen.supervisor.pid}, starts it again)"
    if seen.supervisor is not None:
        return f"kill {seen.supervisor.pid}; {_typed(seen.supervisor)}"
    return f"{kill}; {_typed(server.process)}"


def whose_port(port: int) -> str:
    """Give the command that shows which process listens on a port."""
    return f"ss -ltnp 'sport = :{port}'"


def down(server: Server, seen: Survey, why: str) -> Fault:
    """Tell why nothing listens where a server should be, and what to do."""
    return Fault(str(server.address), why, _cause_of_down(server, seen), _mend_of_down(server, seen))


def _cause_of_down(server: Server, seen: Survey) -> str:
    if server.process is not None:
        return f"its process (pid {server.process.pid}) runs but does not listen: it is starting, or draining"
    if server.role == "gateway":
        return "no gateway runs there: it was not started, was stopped, or has another port"
    if seen.strays:
        others = "; ".join(f"`{_typed(one)}` (pid {one.pid})" for one in seen.strays[:3])
        return f"no worker runs on this port, but there is {others}: is the port right?"
    return (
        "no worker runs there: it was not started, was stopped, or ended at its start because its model file"
        " is missing or corrupt (it says so in one line when started by hand)"
    )


def _mend_of_down(server: Server, seen: Survey) -> str:
    if server.process is not None:
        return "wait a few seconds, then: ringserve diagnose"
    if seen.supervisor is not None:
        up = seen.supervisor
        return f"kill {up.pid}; {_typed(up)}   (its output says why it gave this one up)"
    return start(server, seen)


def _typed(process: Process) -> str:
    """Type the command as it was."""
    return shlex.join(("ringserve", process.role, *process.arguments))


def _model(seen: Survey) -> str:
    return shlex.quote(seen.model_path) if seen.model_path else "MODEL.onnx"


def _model_behind(seen: Survey) -> str:
    return f" {_model(seen)}" if seen.model_path else ""
