"""The faults, one function each: break something under load, mend it, tell what became of the requests.

Each case starts its own servers, lets a crowd of clients ask for distinct inputs of a model whose runs take
at least 20 ms, and keeps asking until the fleet is whole again.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import children_of, command_of
from tests.faults.crowd import Crowd, Tally, tally
from tests.faults.relay import Relay
from tests.integration.servers import Server, Servers, until

WORKERS = 3
IN_FLIGHT_MIN = 10
"""A repetition counts only if the victim had this many requests when it was struck."""
AFTERMATH_S = 0.5
LIMIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a case gave.

    Attributes:
        fault: Its name.
        tally: What became of the requests.
        in_flight: Requests that the victim had when it was struck.
        recovered_s: From the blow until the fleet was whole again, in seconds.
        connections_refused: Connections that were refused, which the stop of a lone gateway may do.
        statuses: Exit statuses of what was stopped.
    """

    fault: str
    tally: Tally
    in_flight: int
    recovered_s: float
    connections_refused: int = 0
    statuses: tuple[int, ...] = ()

    @property
    def counts(self) -> bool:
        """Whether the blow hit anything."""
        return self.in_flight >= IN_FLIGHT_MIN


Case = Callable[[Servers, Path], Outcome]


def kill_worker(servers: Servers, model: Path) -> Outcome:
    """`kill -9` of a worker, which `up` starts again."""
    up = servers.up(str(model), workers=WORKERS).wait_ready()
    return _strike_worker("kill -9 of a worker", up, model, lambda pid: _end(up, pid, signal.SIGKILL))


def hang_worker(servers: Servers, model: Path) -> Outcome:
    """SIGSTOP of a worker for longer than the hang time-out, then SIGCONT."""
    up = servers.up(str(model), workers=WORKERS).wait_ready()

    def stop_and_go(pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)
        try:
            until(lambda: not _whole(up), up.log)
        finally:
            os.kill(pid, signal.SIGCONT)

    return _strike_worker("SIGSTOP of a worker", up, model, stop_and_go)


def stop_worker(servers: Servers, model: Path) -> Outcome:
    """SIGTERM of a worker, which `up` starts again."""
    up = servers.up(str(model), workers=WORKERS).wait_ready()
    return _strike_worker("SIGTERM of a worker", up, model, lambda pid: _end(up, pid, signal.SIGTERM))


def cut_link(servers: Servers, model: Path) -> Outcome:
    """The connection between gateway and worker breaks with requests and answers on their way."""
    return _strike_link("link cut", servers, model, lambda relay, _gateway: relay.cut())


def silence_link(servers: Servers, model: Path) -> Outcome:
    """Nothing comes through any more, and nobody is told; later it does again."""

    def silence(relay: Relay, gateway: Server) -> None:
        relay.silence()
        until(lambda: not _whole(gateway), gateway.log)
        relay.carry()

    return _strike_link("link cut silently", servers, model, silence)


def stop_gateway(servers: Servers, model: Path) -> Outcome:
    """SIGTERM of the only gateway: what it accepted it answers, and it ends with 0."""
    gateway, _ = servers.fleet(model, WORKERS)
    return _stop("SIGTERM of a gateway", gateway, model, signal.SIGTERM)


def stop_up(servers: Servers, model: Path) -> Outcome:
    """SIGTERM of `up`."""
    return _stop("SIGTERM of up", servers.up(str(model), workers=WORKERS).wait_ready(), model, signal.SIGTERM)


def interrupt_up(servers: Servers, model: Path) -> Outcome:
    """Ctrl-C."""
    return _stop("SIGINT of up", servers.up(str(model), workers=WORKERS).wait_ready(), model, signal.SIGINT)


def restart_all(servers: Servers, model: Path) -> Outcome:
    """`ringserve restart` of three workers and two gateways."""
    up = servers.up(str(model), "--gateways", "2", workers=WORKERS).wait_ready()
    until(lambda: up.log().count("ready on") == WORKERS + 2 and _whole(up), up.log)
    with _crowd(up) as crowd:
        in_flight, struck = crowd.waiting, time.monotonic()
        status = servers.start("restart", "--port", str(up.port)).wait()
        renewed_s = time.monotonic() - struck
    return Outcome(
        "rolling restart", tally(crowd.shots, model), in_flight, renewed_s, crowd.refused, (status,)
    )


def lose_all_workers(servers: Servers, model: Path) -> Outcome:
    """Every worker is killed, and one comes back: 503 in between, and service again by itself."""
    gateway, nodes = servers.fleet(model, WORKERS)
    with _crowd(gateway) as crowd:
        in_flight = _busiest(gateway)[1]
        struck = time.monotonic()
        for node in nodes:
            node.process.kill()
        until(lambda: _saw(crowd, 503, struck), gateway.log, LIMIT_S)
        servers.start("worker", str(nodes[0].port), "worker_1", str(model)).wait_ready()
        until(lambda: _saw(crowd, 200, time.monotonic() - AFTERMATH_S), gateway.log, LIMIT_S)
        recovered_s = time.monotonic() - struck
    return Outcome("all workers killed", tally(crowd.shots, model), in_flight, recovered_s)


CASES: tuple[Case, ...] = (
    kill_worker,
    hang_worker,
    stop_worker,
    cut_link,
    silence_link,
    stop_gateway,
    stop_up,
    interrupt_up,
    restart_all,
    lose_all_workers,
)


def _strike_worker(fault: str, up: Server, model: Path, strike: Callable[[int], None]) -> Outcome:
    until(lambda: _whole(up), up.log)
    with _crowd(up) as crowd:
        name, in_flight = _busiest(up)
        pid = next(pid for pid in children_of(up.process.pid) if name in command_of(pid))
        struck = time.monotonic()
        strike(pid)
        recovered_s = _recovery(up, struck)
    return Outcome(fault, tally(crowd.shots, model), in_flight, recovered_s)


def _strike_link(
    fault: str, servers: Servers, model: Path, strike: Callable[[Relay, Server], None]
) -> Outcome:
    nodes = [servers.worker(model, name=f"worker_{number + 1}") for number in range(WORKERS)]
    with ExitStack() as stack:
        relays = [stack.enter_context(Relay(node.port)) for node in nodes]
        addresses = [f"127.0.0.1:{relay.port}" for relay in relays]
        gateway = servers.start("gateway", "--port", "0", "--grpc-port", "0", *addresses).wait_ready()
        until(lambda: _whole(gateway), gateway.log)
        with _crowd(gateway) as crowd:
            name, in_flight = _busiest(gateway)
            struck = time.monotonic()
            strike(relays[int(name[-1]) - 1], gateway)
            recovered_s = _recovery(gateway, struck)
    return Outcome(fault, tally(crowd.shots, model), in_flight, recovered_s)


def _stop(fault: str, server: Server, model: Path, number: int) -> Outcome:
    until(lambda: _whole(server), server.log)
    with _crowd(server) as crowd:
        in_flight = _busiest(server)[1]
        struck = time.monotonic()
        status = server.stop(number)
        ended_s = time.monotonic() - struck
    return Outcome(fault, tally(crowd.shots, model), in_flight, ended_s, crowd.refused, (status,))


@contextmanager
def _crowd(server: Server) -> Iterator[Crowd]:
    """Clients that ask, until the block is left and each has its last answer."""
    crowd = Crowd(server.port)
    with crowd.running():
        until(lambda: len(crowd.shots) > crowd.clients, server.log)
        yield crowd


def _breakers(server: Server) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = server.get("/stats").json["circuit_breakers"]
    return rows


def _whole(server: Server) -> bool:
    """Whether every worker is connected and its circuit closed."""
    return all(row["link"] == "up" and row["state"] == "CLOSED" for row in _breakers(server))


def _busiest(server: Server) -> tuple[str, int]:
    """Wait until a worker has enough in flight; gives its name and how many."""
    rows: list[tuple[int, str]] = []

    def enough() -> bool:
        rows[:] = sorted((int(str(row["in_flight"])), str(row["node_id"])) for row in _breakers(server))
        return rows[-1][0] >= IN_FLIGHT_MIN

    until(enough, lambda: rows)
    return rows[-1][1], rows[-1][0]


def _recovery(server: Server, struck: float) -> float:
    """Wait until the fleet is whole, and a little longer; gives the time it took."""
    until(lambda: _whole(server), server.log, LIMIT_S)
    recovered_s = time.monotonic() - struck
    end = time.monotonic() + AFTERMATH_S
    until(lambda: time.monotonic() > end, server.log)
    return recovered_s


def _saw(crowd: Crowd, status: int, since: float) -> bool:
    return any(shot.status == status and shot.began > since for shot in crowd.shots[-1000:])


def _end(up: Server, pid: int, number: int) -> None:
    """Send a signal to a child of `up` and wait until it is gone."""
    os.kill(pid, number)
    until(lambda: pid not in children_of(up.process.pid), up.log, LIMIT_S)
