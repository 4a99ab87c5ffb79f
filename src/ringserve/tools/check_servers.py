"""The first four checks: processes, ports, the workers' health, the gateway."""

from __future__ import annotations

from ringserve.tools import mends
from ringserve.tools.findings import Fault, Finding, Verdict, finding, follows
from ringserve.tools.http_caller import CallTimeoutError, RefusedError
from ringserve.tools.json_reply import number_at, sentence_of, text_at
from ringserve.tools.survey import Server, Survey

_HTTP_OK = 200


def check_processes(seen: Survey) -> Finding:
    """Check 1: is there a process for each server, where that can be seen."""
    title = "Process status"
    if seen.processes is None:
        return Finding(title, Verdict.CANNOT_TELL, "cannot tell: this system has no /proc")
    visible = [server for server in seen.servers if server.process is not None]
    missing = [server for server in seen.servers if _has_no_process(server, seen)]
    unknown = [server.name for server in seen.servers if server not in visible and server not in missing]
    told = [f"{server.name} pid {server.process.pid}" for server in visible if server.process is not None]
    told += [f"{server.name} none" for server in missing]
    if unknown:
        told.append(f"not visible from here: {', '.join(unknown)}")
    if unknown and not missing:
        return Finding(title, Verdict.CANNOT_TELL, ", ".join(told))
    faults = [mends.down(server, seen, f"no such `ringserve {server.role}` process") for server in missing]
    return finding(title, ", ".join(told), faults)


def _has_no_process(server: Server, seen: Survey) -> bool:
    """Whether it surely does not run: what takes connections may run where we cannot see it."""
    looked = server.here and seen.processes is not None
    return looked and server.process is None and isinstance(server.port_error, RefusedError)


def check_ports(seen: Survey) -> Finding:
    """Check 2: does each port take connections."""
    closed = [server for server in seen.servers if server.port_error is not None]
    taken = [str(server.address) for server in seen.servers if server.port_error is None]
    faults = [_closed(server, seen) for server in closed]
    told = f"{', '.join(taken)} take connections" if taken else "none takes connections"
    return finding("Port availability", told, faults)


def _closed(server: Server, seen: Survey) -> Fault:
    why = str(server.port_error)
    if _has_no_process(server, seen):
        return follows(str(server.address), why, 1)
    if isinstance(server.port_error, RefusedError):
        return mends.down(server, seen, why)
    host = server.address.host
    cause = "the host is unknown or down, or a firewall drops the packets"
    return Fault(str(server.address), why, cause, f"getent hosts {host}; ping -c 3 {host}")


def check_health(seen: Survey) -> Finding:
    """Check 3: does each worker call itself healthy."""
    told, faults = [], []
    for server in seen.workers:
        fault = _ill(server, seen)
        if fault is not None:
            faults.append(fault)
        elif server.says is not None:
            told.append(
                f"{text_at(server.says, 'node_id')} {number_at(server.says, 'cache_hit_rate'):.1%} hits"
            )
    healthy = f"{len(told)} of {len(seen.workers)} healthy"
    return finding("Worker health", f"{healthy}{': ' if told else ''}{', '.join(told)}", faults)


def _ill(server: Server, seen: Survey) -> Fault | None:
    address = str(server.address)
    if server.port_error is not None:
        return follows(address, "takes no connections", 2)
    if server.reply is None or server.says is None:
        return _no_answer(server, seen) or foreign(server)
    if server.reply.status == _HTTP_OK and server.says.get("healthy") is not False:
        return None
    state = text_at(server.says, "state") or text_at(server.says, "status")
    said = f"{server.reply.status}, healthy: false" + (f", {state}" if state else "")
    return Fault(address, said, *_cause_of_illness(server, seen, state))


def _cause_of_illness(server: Server, seen: Survey, state: str) -> tuple[str, str]:
    if state in {"loading", "starting"}:
        return "it is still loading its model", "wait for its ready line, then: ringserve diagnose"
    if state == "draining":
        return "it is draining and will end", f"wait for its end, then: {mends.start(server, seen)}"
    if state in {"hung", "overdue"}:
        return "one run of the model lasts past the hang limit", mends.restart(server, seen)
    cause = "it loads its model, is draining, or one run of the model lasts past the hang limit"
    return cause, f"wait ten seconds and diagnose again; where it stays so: {mends.restart(server, seen)}"


def _no_answer(server: Server, seen: Survey) -> Fault | None:
    """Tell of a server that takes connections and gives no answer; None for one that answered something."""
    if not isinstance(server.error, CallTimeoutError):
        return None
    cause = "the process is stopped or its event loop hangs, or what listens there speaks no HTTP"
    return Fault(str(server.address), str(server.error), cause, mends.restart(server, seen))


def foreign(server: Server) -> Fault:
    """Tell of something that answers where a server of ours should be, but not as one."""
    flag = "--gateway" if server.role == "gateway" else "--workers"
    show = f"{mends.whose_port(server.address.port)}   (shows what listens there; {flag} names another port)"
    other = _other_role(server)
    if other:
        return Fault(
            str(server.address), f"a {other} of ringserve answers", f"a {other}'s port was given", show
        )
    cause = f"wrong port: something that is no {server.role} of ringserve listens there"
    return Fault(str(server.address), _what_answers(server), cause, show)


def _what_answers(server: Server) -> str:
    if server.reply is None:
        return str(server.error)
    by = f" by {server.reply.server}" if server.reply.server else ""
    return f"{server.reply.status}{by}: {sentence_of(server.reply)[:60]}".rstrip(": ")


def _other_role(server: Server) -> str:
    """Say which other server of ours it is: a gateway's /health counts workers, a worker has no /stats."""
    if server.reply is None or server.model is None:
        return ""
    return "gateway" if server.role == "worker" else "worker"
