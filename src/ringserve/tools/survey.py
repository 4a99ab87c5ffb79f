"""Looks at each server once: does its port take connections, and what does it say of itself."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

from ringserve.tools.address import Address, address_of
from ringserve.tools.http_caller import Caller, CallError, RefusedError, Reply, UnreachableError
from ringserve.tools.json_reply import object_in
from ringserve.tools.options import DiagnoseOptions
from ringserve.tools.processes import Process, ringserve_processes
from ringserve.tools.served_model import ServedModel, ask_model

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_THREADS_MAX = 16


@dataclass(frozen=True, slots=True)
class Server:
    """One server that was asked for, and what was seen of it.

    Attributes:
        role: "gateway" or "worker".
        address: Where it should be.
        name: What a person would call it: "gateway", "worker_2".
        process: Its process, where one is visible whose arguments name its port.
        port_error: Why no connection came about; None when one did.
        reply: The answer to `GET /stats` of a gateway, `GET /health` of a worker.
        error: Why there was no such answer, though there was a connection.
        model: What `GET /model` tells; None where there is no such route.
    """

    role: str
    address: Address
    name: str
    process: Process | None
    port_error: CallError | None = None
    reply: Reply | None = None
    error: CallError | None = None
    model: ServedModel | None = None

    @property
    def says(self) -> dict[str, object] | None:
        """What it says of itself; None when that is not what its role would say."""
        said = object_in(self.reply) if self.reply is not None else None
        mark = "circuit_breakers" if self.role == "gateway" else "node_id"
        return said if said is not None and mark in said else None

    @property
    def here(self) -> bool:
        """Whether it is on this machine, as far as its address tells."""
        return self.address.host in LOOPBACK


@dataclass(frozen=True, slots=True)
class Survey:
    """All that was seen."""

    gateway: Server
    workers: Sequence[Server]
    processes: Sequence[Process] | None
    timeout_s: float

    @property
    def servers(self) -> list[Server]:
        """The gateway and the workers."""
        return [self.gateway, *self.workers]

    @property
    def model_path(self) -> str | None:
        """The model file that some running process was given."""
        return next((process.model for process in self.processes or () if process.model), None)

    @property
    def supervisor(self) -> Process | None:
        """The `ringserve up` that started one of these servers."""
        parents = {server.process.parent for server in self.servers if server.process is not None}
        ups = (process for process in self.processes or () if process.role == "up")
        return next((process for process in ups if process.pid in parents), None)

    @property
    def strays(self) -> list[Process]:
        """Workers that run, but on none of the ports that were asked for."""
        known = {server.process.pid for server in self.servers if server.process is not None}
        return [one for one in self.processes or () if one.role == "worker" and one.pid not in known]


def survey(options: DiagnoseOptions) -> Survey:
    """Look at all servers, at once; takes three times `timeout_s` for each at most.

    Raises:
        UsageError: A URL is no URL of a server.
    """
    processes = ringserve_processes()
    wanted = [_Wanted("gateway", "gateway", address_of(options.gateway, "--gateway"))]
    for number, url in enumerate(options.workers, start=1):
        wanted.append(_Wanted("worker", f"worker_{number}", address_of(url, "--workers")))
    with ThreadPoolExecutor(_THREADS_MAX) as threads:
        seen = list(threads.map(lambda one: _look(one, processes or [], options.timeout_s), wanted))
    return Survey(seen[0], seen[1:], processes, options.timeout_s)


class _Wanted(NamedTuple):
    role: str
    name: str
    address: Address


def _look(wanted: _Wanted, processes: Sequence[Process], timeout_s: float) -> Server:
    role, name, address = wanted
    process = next((one for one in processes if _is_of(one, role, address)), None)
    with Caller(address, timeout_s) as caller:
        try:
            reply = caller.get("/stats" if role == "gateway" else "/health")
        except (RefusedError, UnreachableError) as error:
            return Server(role, address, name, process, port_error=error)
        except CallError as error:
            return Server(role, address, name, process, error=error)
        try:
            model = ask_model(caller)
        except CallError:
            model = None  # the first question was answered: what matters is told by that
    return Server(role, address, name, process, reply=reply, model=model)


def _is_of(process: Process, role: str, address: Address) -> bool:
    if address.host not in LOOPBACK or process.role != role:
        return False
    default = role == "gateway" and address.port == 8000 and "--port" not in " ".join(process.arguments)  # noqa: PLR2004 - the flag's default
    return default or process.names_port(address.port)
