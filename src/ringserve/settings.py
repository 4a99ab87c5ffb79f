"""Every default and every limit, once.

`Settings` has one field a flag. The command line's options, the environment's variables, the keys of a TOML
file, `ringserve config` and docs/configuration.md are all views of it: nothing is written down twice, and a
new flag is one new field. Limits that are no flags live in `limits`.

Durations keep the unit of their flag here (`_ms` or `_s`); the program turns `_ms` into seconds where it
reads them. A megabyte is 1,048,576 bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import Field, dataclass, fields
from typing import Any, Literal

from ringserve.flag import Flag, Value, flag
from ringserve.server_settings import COMMANDS, GROUPS, MIB, ServerSettings

__all__ = ["COMMANDS", "GROUPS", "MIB", "Settings", "default_of", "defaults_for", "fields_for", "flag_of"]

_WORKER = ("worker", "up")
_GATEWAY = ("gateway", "up")
_ALL = COMMANDS
_ADDRESS, _FLEET, _MODELS, _BATCHING, _CACHE, _ENGINE, _QUEUE, _RING = GROUPS[:8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(ServerSettings):
    """The effective settings of one process. A field's name is its flag's, with underscores."""

    host: str = flag(
        "127.0.0.1",
        _ADDRESS,
        _ALL,
        "The address to listen on; for `up`, the gateway's. 0.0.0.0 or :: listens on every network.",
    )
    port: int = flag(
        8000, _ADDRESS, _GATEWAY, "The gateway's HTTP port; 0 takes a free one.", unit="port", high=65535
    )
    grpc_port: int = flag(
        0,
        _ADDRESS,
        _ALL,
        "The port for gRPC; 0 is off. For `up`, the first gateway's.",
        unit="port",
        high=65535,
        defaults={"gateway": 9000, "up": 9000},
    )

    workers: int = flag(3, _FLEET, ("up",), "How many workers to start.", unit="processes", low=1, high=256)
    base_port: int = flag(
        8001,
        _FLEET,
        ("up",),
        "The first worker's port; the next ones take the ports after it. 0 takes free ones.",
        unit="port",
        high=65535,
    )
    gateways: int = flag(
        1,
        _FLEET,
        ("up",),
        "How many gateways to start; they share the port.",
        unit="processes",
        low=1,
        high=64,
    )
    worker_host: str = flag("127.0.0.1", _FLEET, ("up",), "The address the workers listen on.")

    model_control: str = flag(
        "none",
        _MODELS,
        _WORKER,
        "What a folder of models is looked at for after the start. none: nothing. poll: whatever changes in "
        "it. explicit: a model that the protocol's load names; unload takes one away.",
        choices=("none", "poll", "explicit"),
    )
    poll_s: float = flag(
        5.0,
        _MODELS,
        _WORKER,
        "How often the folder is looked at (--model-control poll); a change counts when two looks saw it.",
        unit="s",
        low=0.05,
        high=86_400,
    )
    models: str = flag(
        "",
        _MODELS,
        _WORKER,
        "The models of the folder to serve, separated by commas; none: all.",
        any_text=True,
    )
    default_model: str = flag(
        "", _MODELS, _ALL, "The model of an /infer that names none, where several are served.", any_text=True
    )

    max_batch: int = flag(
        32, _BATCHING, _WORKER, "The most items in one run of the model.", unit="items", low=1, high=65536
    )
    batch_timeout_ms: float = flag(
        20.0, _BATCHING, _WORKER, "The longest an item waits for company.", unit="ms", high=60_000
    )
    batch_policy: str = flag(
        "eager",
        _BATCHING,
        _WORKER,
        "eager: a free engine takes what is there at once. window: it waits for company that long.",
        choices=("eager", "window"),
    )
    batching: str = flag(
        "auto",
        _BATCHING,
        _WORKER,
        "auto: items share runs where a proof at load shows that no answer changes. on: no proof. "
        "off: one item a run.",
        choices=("auto", "off", "on"),
    )
    free_batch: str = flag(
        "auto",
        _BATCHING,
        _WORKER,
        "auto: a fixed batch of 1 is made free where a proof at load shows that no answer changes. "
        "off: such a model runs one item at a time.",
        choices=("auto", "off"),
    )

    cache_capacity: int = flag(
        1000,
        _CACHE,
        _WORKER,
        "The most answers a worker remembers; 0 turns the cache off.",
        unit="entries",
        high=100_000_000,
    )
    cache_mb: float = flag(
        256.0, _CACHE, _WORKER, "The most memory for remembered answers.", unit="MB", high=1_000_000
    )
    verify_hits: float = flag(
        0.0,
        _CACHE,
        _WORKER,
        "The share of answers from memory that are computed again and compared; 0.001 is one in 1,000.",
        unit="of the hits",
        high=1,
    )

    provider: str = flag(
        "auto",
        _ENGINE,
        _WORKER,
        "Where the model runs: auto (CUDA where it loads, else CPU), cpu, cuda, or any other provider.",
    )
    custom_ops: str = flag(
        "", _ENGINE, _WORKER, "Libraries of custom operators (.so), separated by commas.", path=True
    )
    threads: int = flag(
        0,
        _ENGINE,
        _WORKER,
        "Threads for one run of the model; 0 shares the machine's cores among its workers.",
        unit="threads",
        high=1024,
    )
    workers_here: int = flag(
        1,
        _ENGINE,
        ("worker",),
        "How many workers share this machine's cores. `up` sets it for its own.",
        unit="processes",
        low=1,
        high=1024,
    )
    run_timeout_s: float = flag(
        0.0,
        _ENGINE,
        _WORKER,
        "The longest one run may take before the worker counts as hung; 0 is off.",
        unit="s",
    )

    max_queue: int = flag(
        1024,
        _QUEUE,
        _WORKER,
        "The most items waiting in a worker; more get 429.",
        unit="items",
        low=1,
        high=10_000_000,
    )
    max_wait_ms: float | Literal["auto"] = flag(
        "auto",
        _QUEUE,
        _WORKER,
        "The longest wait to be expected; beyond it 429. auto: the larger of 2000 and four full batches.",
        unit="ms",
        auto=True,
    )
    request_timeout_ms: float = flag(
        30_000.0,
        _QUEUE,
        _ALL,
        "The deadline of a request that brings no X-Request-Timeout-Ms; then it gets 504.",
        unit="ms",
        low=1,
        high=86_400_000,
    )

    virtual_nodes: int = flag(
        150, _RING, _GATEWAY, "Virtual nodes a worker has on the ring.", unit="nodes", low=1, high=10_000
    )
    failure_threshold: int = flag(
        5,
        _RING,
        _GATEWAY,
        "Consecutive failures that open a worker's circuit.",
        unit="failures",
        low=1,
        high=1_000_000,
    )
    success_threshold: int = flag(
        2, _RING, _GATEWAY, "Successful trials that close it again.", unit="successes", low=1, high=1_000_000
    )
    circuit_timeout_s: float = flag(
        30.0,
        _RING,
        _GATEWAY,
        "How long an open circuit waits before it lets a trial through.",
        unit="s",
        high=86_400,
    )
    hang_timeout_s: float = flag(
        2.0,
        _RING,
        _ALL,
        "A worker has failed when its link gives no byte for this long, or one run lasts longer than "
        "this and than ten times the slowest so far.",
        unit="s",
        low=0.05,
        high=86_400,
    )
    credit_items: int = flag(
        0,
        _RING,
        _WORKER,
        "The most items one gateway may have in a worker; 0 is twice the queue and a batch.",
        unit="items",
        high=100_000_000,
    )
    credit_mb: float = flag(
        256.0,
        _RING,
        _WORKER,
        "The most bytes of tensors one gateway may have in a worker.",
        unit="MB",
        low=1,
        high=1_000_000,
    )

    @property
    def cache_bytes(self) -> int:
        """The most memory for remembered answers, in bytes."""
        return int(self.cache_mb * MIB)

    @property
    def credit_bytes(self) -> int:
        """The most bytes of tensors one gateway may have in this worker."""
        return int(self.credit_mb * MIB)


def flag_of(spec: Field[Any]) -> Flag:
    """Give the Flag of one of the fields of Settings."""
    found = spec.metadata["flag"]
    assert isinstance(found, Flag)
    return found


def default_of(spec: Field[Any], command: str) -> Value:
    """Give the default of a field of Settings for a command."""
    other = flag_of(spec).defaults
    value: Value = other[command] if command in other else spec.default  # type: ignore[assignment]  # noqa: SIM401
    return value


def fields_for(command: str) -> Iterator[Field[Any]]:
    """Give the fields a command takes, by group and then as written; "config" takes all."""
    every = fields(Settings)
    for group in GROUPS:
        for spec in every:
            about = flag_of(spec)
            if about.group == group and (command == "config" or command in about.commands):
                yield spec


def defaults_for(command: str) -> Settings:
    """Give the settings of a command when nothing is set anywhere."""
    return Settings(**{spec.name: default_of(spec, command) for spec in fields(Settings)})  # type: ignore[arg-type]
