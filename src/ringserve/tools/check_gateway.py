"""The fourth check: the gateway, its links and its circuit breakers."""

from __future__ import annotations

from ringserve.tools import mends
from ringserve.tools.check_servers import foreign
from ringserve.tools.findings import Fault, Finding, finding, follows
from ringserve.tools.http_caller import CallTimeoutError
from ringserve.tools.json_reply import objects_at, text_at
from ringserve.tools.survey import Survey

_TITLE = "Gateway connectivity"


def check_gateway(seen: Survey) -> Finding:
    """Check 4: does the gateway answer, and may and can it send to each of its workers."""
    fault = _absent(seen)
    if fault is not None:
        return finding(_TITLE, f"no gateway at {seen.gateway.address}", [fault])
    breakers = objects_at(seen.gateway.says or {}, "circuit_breakers")
    able = sum(_able(breaker) for breaker in breakers)
    told = f"{able} of {len(breakers)} workers able: " + ", ".join(map(_told, breakers))
    return finding(_TITLE, told, _faults(seen, breakers, able))


def _absent(seen: Survey) -> Fault | None:
    gateway = seen.gateway
    if gateway.port_error is not None:
        return follows(str(gateway.address), "takes no connections", 2)
    if isinstance(gateway.error, CallTimeoutError):
        cause = "the process is stopped or its event loop hangs, or what listens there speaks no HTTP"
        return Fault(str(gateway.address), str(gateway.error), cause, mends.restart(gateway, seen))
    return foreign(gateway) if gateway.says is None else None


def _able(breaker: dict[str, object]) -> bool:
    # A gateway of the C++ reference design tells of no links.
    return breaker.get("state") == "CLOSED" and breaker.get("link", "up") == "up"


def _told(breaker: dict[str, object]) -> str:
    link = text_at(breaker, "link")
    shown = f" (link {link})" if link not in {"", "up"} else ""
    return f"{text_at(breaker, 'node')} {text_at(breaker, 'state')}{shown}"


def _faults(seen: Survey, breakers: list[dict[str, object]], able: int) -> list[Fault]:
    address = str(seen.gateway.address)
    if breakers and all(breaker.get("state") == "OPEN" for breaker in breakers):
        cause = (
            "each worker failed several times in a row: down, hung, or unreachable from the gateway's host"
        )
        mend = (
            f"mend the workers (checks 2 and 3); then wait --circuit-timeout-s (30 s), or: {_restart(seen)}"
        )
        return [Fault(address, "all circuit breakers are OPEN", cause, mend)]
    if not able and any(breaker.get("link", "up") != "up" for breaker in breakers):
        cause = "the workers are down, or the gateway was started with addresses at which they are not"
        mend = f"start the workers (checks 2 and 3), or: {_restart(seen)}"
        return [Fault(address, "it has a link to none of its workers", cause, mend)]
    return [_unable(breaker, seen) for breaker in breakers if not _able(breaker)]


def _unable(breaker: dict[str, object], seen: Survey) -> Fault:
    node, state, link = (text_at(breaker, key) for key in ("node", "state", "link"))
    if link == "going away":
        return Fault(node, "going away", "this worker drains", "wait for its end, then start it again")
    if state == "HALF_OPEN":
        cause = "it failed and is being tried again, one request at a time"
        return Fault(node, "HALF_OPEN", cause, "send two good requests: ringserve bench --requests 100")
    if state == "OPEN":
        cause = "this worker failed several times in a row; its keys go to others"
        mend = "mend it (checks 2 and 3), then wait --circuit-timeout-s (30 s): it is tried again by itself"
        return Fault(node, "OPEN", cause, mend)
    cause = "the worker is down, or has another address than the gateway was given"
    return Fault(node, f"link {link}", cause, f"start it there (checks 2 and 3), or: {_restart(seen)}")


def _restart(seen: Survey) -> str:
    return mends.restart(seen.gateway, seen, force=False)
